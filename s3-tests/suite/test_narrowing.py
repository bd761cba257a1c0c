"""What narrows: denials of what comes along with a write, a session's own policy, boundaries, a right to oneself."""

import json
import time
import urllib.error
import urllib.request
from urllib.parse import urlencode

import pytest
from conftest import keys_of, new_name
from harness.clients import boto
from harness.server import ALICE, BOB, ROOT_KEYS
from harness.sigv4 import Signer
from harness.wire import Request, exchange
from support import refused
from test_iam import DENIED, S3_FULL, policy, s3_of, session_of, trust


def session_of_role(server, iam, keys, name, role_policy, **asked):
    role = new_name("role")
    account = ALICE.account
    document = trust({"AWS": f"arn:aws:iam::{account}:user/suite/{name}"}, ["sts:AssumeRole"])
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=role_policy)
    sts = boto(server.endpoint, keys, service="sts", parameter_validation=False)
    return role, sts.assume_role(RoleArn=arn, RoleSessionName="work", **asked)["Credentials"]


def without_acls(actions):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": actions, "Resource": "*"},
        {"Effect": "Deny", "Action": ["s3:PutObjectAcl", "s3:PutObjectVersionAcl", "s3:PutBucketAcl"], "Resource": "*"}]})


COME_ALONG = {
    "put": lambda s3, bucket: s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read"),
    "grant": lambda s3, bucket: s3.put_object(Bucket=bucket, Key="k", Body=b"x", GrantRead=f"id={BOB.id}"),
    "copy": lambda s3, bucket: s3.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/source", ACL="public-read"),
    "upload": lambda s3, bucket: s3.create_multipart_upload(Bucket=bucket, Key="k", ACL="public-read"),
    "bucket": lambda s3, bucket: s3.create_bucket(Bucket=f"{bucket}-new", ACL="public-read"),
}


@pytest.mark.parametrize("how", COME_ALONG)
@pytest.mark.parametrize("who", ["user", "session", "boundary"])
def test_a_denial_to_set_acls_holds_for_those_that_come_along(server, iam, s3, bucket, user, how, who):
    """Whoever is denied PutObjectAcl by a policy of their own, of their session or of their boundary opens nothing by a header."""
    name, keys = user
    s3.put_object(Bucket=bucket, Key="source", Body=b"x")
    text = without_acls(["s3:PutObject", "s3:GetObject", "s3:CreateBucket"])
    client = s3_of(server, keys)
    if who == "session":
        client = session_of(server, session_of_role(server, iam, keys, name, policy("s3:*"), Policy=text)[1])
    elif who == "boundary":
        arn = iam.create_policy(PolicyName=new_name("policy"), PolicyDocument=text)["Policy"]["Arn"]
        iam.attach_user_policy(UserName=name, PolicyArn=S3_FULL)
        iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=arn)
    else:
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=text)
    client.put_object(Bucket=bucket, Key="plain", Body=b"x")
    with refused(*DENIED):
        COME_ALONG[how](client, bucket)


@pytest.mark.parametrize("asked", [{"Policy": ""}, {"PolicyArns": [{"arn": ""}]}], ids=["policy", "arn"])
def test_a_session_that_is_to_be_narrowed_by_nothing_readable_is_not_opened(server, iam, user, asked):
    """An empty text is no policy; to open the session without one would give all that the role may."""
    name, keys = user
    with refused("ValidationError", 400):
        session_of_role(server, iam, keys, name, policy("s3:*"), **asked)


def test_a_list_of_session_policies_has_no_gaps(server, iam, user):
    name, keys = user
    role, _ = session_of_role(server, iam, keys, name, policy("s3:*"))
    body = (f"Action=AssumeRole&Version=2011-06-15&RoleSessionName=work&RoleArn=arn%3Aaws%3Aiam%3A%3A{ALICE.account}%3Arole%2F{role}"
            "&PolicyArns.member.2.arn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FIAMReadOnlyAccess").encode()
    request = Request("POST", "/", headers=[("content-type", "application/x-www-form-urlencoded")], body=body)
    assert exchange(server.endpoint, Signer(*keys, service="sts").sign(request, server.endpoint)).status == 400


def test_a_session_s_policy_gives_nothing_that_its_role_has_not(server, iam, s3, bucket, user):
    name, keys = user
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    _, credentials = session_of_role(server, iam, keys, name, policy("s3:GetObject", f"arn:aws:s3:::{bucket}/*"), Policy=policy("*"))
    client = session_of(server, credentials)
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    for call in (lambda: client.put_object(Bucket=bucket, Key="k", Body=b"y"), lambda: client.list_buckets(),
                 lambda: session_of(server, credentials, "iam").list_users(), lambda: session_of(server, credentials, "sts").get_session_token(),
                 lambda: session_of(server, credentials, "iam").put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy("*"))):
        with refused(*DENIED):
            call()


def test_a_bucket_that_lets_a_role_or_everybody_in_does_not_widen_a_session(server, iam, s3, bucket, user):
    name, keys = user
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="authenticated-read")
    role, credentials = session_of_role(server, iam, keys, name, policy("s3:*"), Policy=policy("s3:ListAllMyBuckets"))
    client = session_of(server, credentials)
    client.list_buckets()
    for principal in ({"AWS": f"arn:aws:iam::{ALICE.account}:role/{role}"}, "*", {"AWS": f"arn:aws:sts::{ALICE.account}:assumed-role/{role}/other"}):
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": principal, "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}]}))
        with refused(*DENIED):
            client.get_object(Bucket=bucket, Key="k")


def test_a_url_of_a_session_ends_with_its_role_s_rights_and_with_the_role(server, iam, s3, bucket, user):
    """Also where a role of the same name is made again."""
    name, keys = user
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    role, given = session_of_role(server, iam, keys, name, policy("s3:*"))
    client = boto(server.endpoint, (given["AccessKeyId"], given["SecretAccessKey"]), token=given["SessionToken"], signature_version="s3v4")
    url = client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"})

    def status():
        try:
            return urllib.request.urlopen(url).status
        except urllib.error.HTTPError as error:
            return error.code
    assert status() == 200
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    iam.put_role_policy(RoleName=role, PolicyName="older", PolicyDocument=policy("*", effect="Deny", Condition={"DateLessThan": {"aws:TokenIssueTime": soon}}))
    assert status() == 403
    iam.delete_role_policy(RoleName=role, PolicyName="older")
    assert status() == 200
    iam.delete_role_policy(RoleName=role, PolicyName="p")
    assert status() == 403
    iam.delete_role(RoleName=role)
    assert status() == 403
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust({"AWS": ALICE.account}))
    iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=policy("s3:*"))
    assert status() == 403


def test_who_may_with_their_own_keys_may_with_nobody_else_s(server, iam, s3, user):
    name, keys = user
    own_arn = iam.get_user(UserName=name)["User"]["Arn"]
    iam.put_user_policy(UserName=name, PolicyName="self", PolicyDocument=policy(["iam:*AccessKey*", "iam:UpdateUser"], own_arn))
    other = new_name("user")
    iam.create_user(UserName=other)
    others = iam.create_access_key(UserName=other)["AccessKey"]["AccessKeyId"]
    own = boto(server.endpoint, keys, service="iam")
    for key in (others, ALICE.access_key, BOB.access_key):
        for call in (lambda: own.delete_access_key(AccessKeyId=key), lambda: own.delete_access_key(UserName=name, AccessKeyId=key),
                     lambda: own.update_access_key(UserName=name, AccessKeyId=key, Status="Inactive")):
            with refused("NoSuchEntity", 404):
                call()
    for call in (lambda: own.create_access_key(UserName=other), lambda: own.delete_access_key(UserName=other, AccessKeyId=others),
                 lambda: own.get_access_key_last_used(AccessKeyId=others), lambda: own.update_user(UserName=name, NewUserName=other + "-2"),
                 lambda: own.update_user(UserName=name, NewPath="/admins/")):
        with refused(*DENIED):
            call()
    s3.list_buckets()


def test_tags_of_a_session_are_a_right_of_their_own_and_mean_their_letters(server, iam, s3, bucket, user):
    name, keys = user
    s3.put_object(Bucket=bucket, Key="closed/k", Body=b"x")
    role = new_name("role")
    trusted = {"AWS": f"arn:aws:iam::{ALICE.account}:user/suite/{name}"}
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust(trusted))["Role"]["Arn"]
    iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=policy("s3:GetObject", f"arn:aws:s3:::{bucket}/${{aws:PrincipalTag/home}}/*"))
    users = boto(server.endpoint, keys, service="sts")

    def assume(*values):
        tags = [{"Key": key, "Value": value} for key, value in values]
        return session_of(server, users.assume_role(RoleArn=arn, RoleSessionName="work", Tags=tags)["Credentials"])
    with refused(*DENIED):
        assume(("home", "closed"))
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=trust(trusted, ["sts:AssumeRole", "sts:TagSession"]))
    assert assume(("home", "closed")).get_object(Bucket=bucket, Key="closed/k")["Body"].read() == b"x"
    for home in ("../closed", "open/../closed", ""):
        with refused(*DENIED):
            assume(("home", home)).get_object(Bucket=bucket, Key="closed/k")
    for values in ((("home", "*"),), (("home", "${aws:userid}"),), (("home", "open"), ("HOME", "closed"))):
        with refused("ValidationError" if len(values) == 1 else "InvalidInput", 400):
            assume(*values)


def test_a_session_without_mfa_is_known_as_one(server, iam, s3, bucket, user):
    """As AWS has it: long-term keys have no such condition key, temporary ones have it, and it is false without MFA."""
    name, keys = user
    iam.attach_user_policy(UserName=name, PolicyArn=S3_FULL)
    iam.put_user_policy(UserName=name, PolicyName="mfa", PolicyDocument=policy("s3:*", effect="Deny", Condition={"Bool": {"aws:MultiFactorAuthPresent": "false"}}))
    s3_of(server, keys).list_objects_v2(Bucket=bucket)
    session = session_of(server, boto(server.endpoint, keys, service="sts").get_session_token()["Credentials"])
    with refused(*DENIED):
        session.list_objects_v2(Bucket=bucket)


def test_a_denial_to_tag_holds_for_tags_that_come_along_where_an_acl_lets_write(server, s3, bucket, bobs):
    """An ACL lets somebody else's account write, tags and all; what that account denies its user stays denied."""
    s3.put_bucket_acl(Bucket=bucket, GrantWrite=f"id={BOB.id}")
    of_bob, name = boto(server.endpoint, keys_of(BOB), service="iam"), new_name("user")
    of_bob.create_user(UserName=name)
    pair = of_bob.create_access_key(UserName=name)["AccessKey"]
    client = s3_of(server, (pair["AccessKeyId"], pair["SecretAccessKey"]))
    of_bob.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}, {"Effect": "Deny", "Action": "s3:PutObjectTagging", "Resource": "*"}]}))
    client.put_object(Bucket=bucket, Key="k", Body=b"x")
    with refused(*DENIED):
        client.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=b")


def test_what_an_administrator_denies_an_account_comes_along_with_nothing(new_server):
    server = new_server()
    server.start().wait_ready()
    s3 = s3_of(server, keys_of(ALICE))
    s3.create_bucket(Bucket="bucket")
    body = urlencode({"Action": "PutUserPolicy", "Version": "2010-05-08", "AccountId": ALICE.account, "UserName": ALICE.id, "PolicyName": "no",
                      "PolicyDocument": policy("s3:PutObjectAcl", effect="Deny")}).encode()
    request = Request("POST", "/", headers=[("content-type", "application/x-www-form-urlencoded")], body=body)
    assert exchange(server.endpoint, Signer(*ROOT_KEYS, service="iam").sign(request, server.endpoint)).status == 200
    s3.put_object(Bucket="bucket", Key="k", Body=b"x")
    for call in (lambda: s3.put_object_acl(Bucket="bucket", Key="k", ACL="public-read"), lambda: s3.put_object(Bucket="bucket", Key="k", Body=b"x", ACL="public-read")):
        with refused(*DENIED):
            call()


@pytest.mark.parametrize("wanted, asked", [
    ("s3:PutBucketAcl", {"ACL": "authenticated-read"}),
    ("s3:PutBucketAcl", {"GrantRead": f"id={BOB.id}"}),
    ("s3:PutBucketOwnershipControls", {"ObjectOwnership": "BucketOwnerEnforced"}),
    ("s3:PutBucketObjectLockConfiguration", {"ObjectLockEnabledForBucket": True}),
    ("s3:PutBucketVersioning", {"ObjectLockEnabledForBucket": True}),
], ids=["acl", "grant", "ownership", "lock", "versioning"])
def test_what_is_set_on_a_bucket_as_it_is_made_wants_the_right_to_set_it(server, iam, user, wanted, asked):
    name, keys = user
    client, bucket = s3_of(server, keys), new_name()
    every = ["s3:CreateBucket", "s3:PutBucketAcl", "s3:PutBucketOwnershipControls", "s3:PutBucketObjectLockConfiguration", "s3:PutBucketVersioning"]
    allow = {"Effect": "Allow", "Action": [action for action in every if action != wanted], "Resource": "*"}
    deny = {"Effect": "Deny", "Action": wanted, "Resource": "*"}
    for statements in ([allow], [{**allow, "Action": every}, deny]):
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}))
        with refused(*DENIED):
            client.create_bucket(Bucket=bucket, **asked)
    client.create_bucket(Bucket=bucket, ACL="private")
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{**allow, "Action": every}]}))
    client.create_bucket(Bucket=f"{bucket}-2", **asked)


def test_who_may_write_sets_acls_by_a_header_where_their_own_policies_let_them(server, iam, s3, bucket, user):
    """As with AWS; a header that opens nothing wants no more than the write."""
    name, keys = user
    client = s3_of(server, keys)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy("s3:PutObject"))
    for acl in ("private", "bucket-owner-full-control"):
        client.put_object(Bucket=bucket, Key="k", Body=b"x", ACL=acl)
    with refused(*DENIED):
        client.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(["s3:PutObject", "s3:PutObjectAcl"]))
    client.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")


@pytest.mark.parametrize("brought", [{"SerialNumber": f"arn:aws:iam::{ALICE.account}:mfa/phone", "TokenCode": "123456"}, {"TokenCode": "123456"}],
                         ids=["device", "code"])
def test_a_code_of_a_device_that_is_not_there_opens_nothing(server, iam, user, brought):
    name, keys = user
    with refused(*DENIED):
        boto(server.endpoint, keys, service="sts").get_session_token(**brought)
    with refused(*DENIED):
        session_of_role(server, iam, keys, name, policy("s3:*"), **brought)
