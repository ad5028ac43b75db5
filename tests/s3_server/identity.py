"""The services that hand out credentials: STS, the metadata service of EC2 (IMDSv2), those of containers."""
import collections
import itertools
import json
import time
import urllib.parse

import sigv4
from bucket import Answer, error

LIFETIME = 3600
FEWEST_USES = 40
PASSING = {"sts_throttled": "Throttling", "sts_cut_off": "IDPCommunicationError"}  # faults of STS, and their codes


class Identity:
    """Mints temporary credentials; those that were expired by a fault are not taken any more."""

    def __init__(self, fixed, draw=lambda *names: None):
        self.keys = {key_id: (secret, None) for key_id, secret in fixed.items()}
        self.expired, self.uses = set(), collections.Counter()
        self.numbers = itertools.count(1)
        self.lifetime, self.draw = LIFETIME, draw

    def mint(self, source):
        number = next(self.numbers)
        key_id = f"ASIA{source.upper()}{number}"
        self.keys[key_id] = (f"secret-of-{source}-{number}", f"token/of+{source}={number}")
        return key_id

    def may_expire(self, key_id):
        """Credentials are good for more requests than are under way at once: none meets two that have expired."""
        return self.uses[key_id] >= FEWEST_USES

    def expire(self, key_id):
        self.expired.add(key_id)

    def secret_of(self, key_id):
        if key_id in self.expired:
            raise sigv4.Refused(400, "ExpiredToken", "The provided token has expired.")
        self.uses[key_id] += 1
        return self.keys[key_id]

    def fields(self, key_id):
        secret, token = self.keys[key_id]
        expiration = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.lifetime))
        return {"AccessKeyId": key_id, "SecretAccessKey": secret, "Token": token, "Expiration": expiration}

    def handle(self, method, path, headers, body):
        """The answer of one of these services; None if the path is none of theirs."""
        if path == "/sts" and method == "POST":
            return self.sts(headers, body)
        if path == "/latest/api/token" and method == "PUT":
            if "x-aws-ec2-metadata-token-ttl-seconds" not in headers:
                return error(400, "BadRequest")
            return Answer(200, "imds-session")
        if path.startswith("/latest/"):
            if headers.get("x-aws-ec2-metadata-token") != "imds-session":
                return Answer(401)
            if path == "/latest/meta-data/iam/security-credentials/":
                return Answer(200, "role of instance")
            if path == "/latest/meta-data/iam/security-credentials/role%20of%20instance":
                return Answer(200, json.dumps({"Code": "Success", **self.fields(self.mint("imds"))}))
            return Answer(404)
        if path == "/container":
            if headers.get("authorization") != "container token":
                return Answer(403)
            return Answer(200, json.dumps(self.fields(self.mint("container"))))
        if path == "/process":  # what a credential_process of a test prints
            fields = self.fields(self.mint("process"))
            return Answer(200, json.dumps({"Version": 1, "SessionToken": fields.pop("Token"), **fields}))
        return None

    def sts(self, headers, body):
        passing = self.draw(*PASSING)
        if passing:
            return Answer(400, f"<ErrorResponse><Error><Code>{PASSING[passing]}</Code></Error></ErrorResponse>")
        form = dict(urllib.parse.parse_qsl(body.decode()))
        if form["Action"] == "AssumeRoleWithWebIdentity":
            if form["WebIdentityToken"] != "web token" or "authorization" in headers:
                return Answer(400, "<ErrorResponse><Error><Code>InvalidIdentityToken</Code></Error></ErrorResponse>")
            key_id = self.mint("web")
        else:
            assert form["Action"] == "AssumeRole" and form["RoleSessionName"]
            try:
                sigv4.verify("POST", "/sts", "", headers, body, secret_of=self.secret_of, service="sts", region=None,
                             now=time.time())
            except sigv4.Refused as refused:
                return Answer(403, f"<ErrorResponse><Error><Code>{refused.code}</Code></Error></ErrorResponse>")
            if form.get("ExternalId") != "external":
                return Answer(403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>")
            key_id = self.mint("role")
        names = {"Token": "SessionToken"}
        content = "".join(f"<{names.get(name, name)}>{value}</{names.get(name, name)}>"
                          for name, value in self.fields(key_id).items())
        action = form["Action"]
        return Answer(200, f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>'
                           f"<Credentials>{content}</Credentials></{action}Result></{action}Response>")
