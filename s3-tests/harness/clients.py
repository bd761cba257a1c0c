"""S3 clients pointed at an endpoint."""

import os
import pathlib
import sys

import boto3
import botocore.config


def boto(endpoint, keys, retries=0, service="s3", token=None, **config):
    """A boto3 client. Without retries unless asked: a test wants to see the first answer."""
    settings = {"retries": {"total_max_attempts": retries + 1, "mode": "standard"},
                "s3": {"addressing_style": "path"}, "connect_timeout": 10, "read_timeout": 60, "max_pool_connections": 64}
    settings.update(config)
    return boto3.session.Session().client(
        service, endpoint_url=endpoint, aws_access_key_id=keys[0], aws_secret_access_key=keys[1], aws_session_token=token,
        region_name="us-east-1",
        config=botocore.config.Config(**settings))


def environment(endpoint, keys):
    """The environment of a command-line client that knows nothing but this endpoint."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TRIOXIDE_", "RCLONE_"))}
    env.update({
        "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": keys[0], "AWS_SECRET_ACCESS_KEY": keys[1],
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "",
        "PATH": f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    })
    return env
