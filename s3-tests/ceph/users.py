"""The users that ceph/s3-tests signs in with, as its sample configuration names them, and the two files made from them: the
server's `trioxide.toml` and the suite's own configuration."""

import configparser
import json

MAIN = {
    "user_id": "testid", "display_name": "M. Tester", "email": "tester@ceph.com",
    "access_key": "0555b35654ad1656d804", "secret_key": "h7GhxuBLTrlhVUyxSPUKUV8r/2EI4ngqJxD7iBdBYLhwluN30JaT3Q==",
}
ALT = {
    "user_id": "56789abcdef0123456789abcdef0123456789abcdef0123456789abcdef01234", "display_name": "john.doe",
    "email": "john.doe@example.com",
    "access_key": "NOPQRSTUVWXYZABCDEFG", "secret_key": "nopqrstuvwxyzabcdefghijklmnabcdefghijklm",
}
TENANT = {
    "user_id": "testx$9876543210abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "display_name": "testx$tenanteduser",
    "email": "tenanteduser@example.com",
    "access_key": "HIJKLMNOPQRSTUVWXYZA", "secret_key": "opqrstuvwxyzabcdefghijklmnopqrstuvwxyzab",
}
IAM = {
    "user_id": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "display_name": "youruseridhere",
    "email": "s3@example.com",
    "access_key": "ABCDEFGHIJKLMNOPQRST", "secret_key": "abcdefghijklmnopqrstuvwxyzabcdefghijklmn",
}
ROOT = {"user_id": "RGW11111111111111111", "display_name": "account 1", "email": "account1@ceph.com",
        "access_key": "AAAAAAAAAAAAAAAAAAaa", "secret_key": "a" * 40}
ALT_ROOT = {"user_id": "RGW22222222222222222", "display_name": "account 2", "email": "account2@ceph.com",
            "access_key": "BBBBBBBBBBBBBBBBBBbb", "secret_key": "b" * 40}

SECTIONS = {"s3 main": MAIN, "s3 alt": ALT, "s3 tenant": TENANT, "iam": IAM, "iam root": ROOT, "iam alt root": ALT_ROOT}
# Those whose buckets the suite makes and the runner removes.
OWNERS = (MAIN, ALT, TENANT)


# Whose buckets lie in a volume of their own: the tenant's.
VOLUME = "testx"

# The suite's own defaults; some of its cases name them outright.
KMS_KEYS = ["testkey-1", "testkey-2"]


def server_config(more="", lc_day=None, storage_classes=()):
    """The declarative bootstrap: every user and key of the suite exists after the start. Its forms, and some of its headers, are signed by
    Version 2."""
    more = with_setting(more, "gateway", "sigv2 = true")
    # The suite's own roll time, and the names that it looks for.
    more = with_setting(more, "gateway", 'access_log_roll = "5s"')
    more = with_setting(more, "gateway", 'access_log_names = "rgw"')
    # Its user policies are set on users without an account, which ours have.
    more = with_setting(more, "om", "accounts_as_users = true")
    if lc_day is not None:
        more = with_setting(more, "om", f'lifecycle_day = "{lc_day}s"')
    if storage_classes:
        # The suite's objects have some bytes each.
        more = with_setting(more, "om", "move_small_objects = true")
    for name in storage_classes:
        more = with_setting(more, "storage_classes", f'{name} = "default"')
    lines = ["[kms]", f"keys = {json.dumps(KMS_KEYS)}", ""]
    for user in SECTIONS.values():
        # It sets policies on the others.
        user = user | ({"admin": True} if user is IAM else {}) | ({"volume": VOLUME} if user is TENANT else {})
        lines += ["[[user]]"] + [f"{'id' if key == 'user_id' else key} = {json.dumps(value)}" for key, value in user.items()] + [""]
    return more + "\n" + "\n".join(lines)


def with_setting(config, section, setting):
    """The same TOML with one more line in a section, which it may or may not have yet."""
    head = f"[{section}]\n"
    return config.replace(head, f"{head}{setting}\n", 1) if head in config else f"{config}\n{head}{setting}\n"


def suite_config(host, port, lc_day=None, storage_classes=()):
    """The file that S3TEST_CONF names."""
    config = configparser.RawConfigParser()
    config["DEFAULT"] = {"host": host, "port": str(port), "is_secure": "False", "ssl_verify": "False"}
    config["fixtures"] = {"bucket prefix": "trioxide-{random}-", "iam name prefix": "s3-tests-", "iam path prefix": "/s3-tests/"}
    for section, user in SECTIONS.items():
        config[section] = dict(user)
    # Not us-east-1, which S3 tells as an empty constraint.
    config["s3 main"]["api_name"] = "default"
    config["s3 main"]["kms_keyid"], config["s3 main"]["kms_keyid2"] = KMS_KEYS
    config["s3 tenant"]["tenant"] = VOLUME
    if lc_day is not None:
        config["s3 main"]["lc_debug_interval"] = str(lc_day)
    if storage_classes:
        config["s3 main"]["storage_classes"] = ", ".join(storage_classes)
    return config
