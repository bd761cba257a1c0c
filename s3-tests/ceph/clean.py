"""Removes every bucket of the suite's users: versions, delete markers, uploads, locks by bypass. A run that was killed leaves
buckets behind, and `test_list_buckets_paginated` needs a user without any. Runs in the suite's environment (boto3)."""

import sys

import boto3
import botocore.config
from botocore.exceptions import ClientError

from users import OWNERS


def empty(client, bucket):
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = page.get("Versions", []) + page.get("DeleteMarkers", [])
        objects = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in found]
        if objects:
            client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True}, BypassGovernanceRetention=True)
    for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", []):
            client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])


def main():
    endpoint = sys.argv[1]
    for user in OWNERS:
        client = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=user["access_key"], aws_secret_access_key=user["secret_key"],
                              region_name="us-east-1", config=botocore.config.Config(s3={"addressing_style": "path"}))
        for bucket in client.list_buckets()["Buckets"]:
            try:
                empty(client, bucket["Name"])
                client.delete_bucket(Bucket=bucket["Name"])
            except ClientError as error:
                # A bucket under compliance stays until its day; it belongs to a user of this run only.
                print(f"{bucket['Name']} stays: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
