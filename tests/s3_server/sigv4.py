"""Verifies AWS Signature Version 4 of requests to S3 and STS; written from the public description, independently of
the program that is tested with it."""
import hashlib
import hmac
import urllib.parse


class Refused(Exception):
    """A request whose signature does not hold: HTTP status, code and message of the answer."""

    def __init__(self, status, code, message="", **fields):
        super().__init__(code)
        self.status, self.code, self.message, self.fields = status, code, message, fields


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def canonical_query(query):
    """Pairs of the query, decoded and encoded again by the rules, sorted."""
    pairs = []
    for part in query.split("&") if query else []:
        name, _, value = part.partition("=")
        pairs.append(tuple(urllib.parse.quote(urllib.parse.unquote_to_bytes(text), safe="-_.~")
                           for text in (name, value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def verify(method, path, query, headers, body, *, secret_of, service, region, now):
    """Returns the access key id that a request was signed with; raises Refused.

    `headers` is a mapping with lower-case names, `secret_of` a function from key id to (secret, token), which raises
    KeyError for unknown ids. `now` is the server's time as "20150830T123600Z" and seconds.
    """
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    if scheme != "AWS4-HMAC-SHA256":
        raise Refused(403, "AccessDenied", "Access Denied")
    fields = dict(part.strip().split("=", 1) for part in rest.split(","))
    key_id, date, signed_region, signed_service, end = fields["Credential"].split("/")
    if (signed_service, end) != (service, "aws4_request"):
        raise Refused(400, "AuthorizationHeaderMalformed", "wrong service")
    if region is not None and signed_region != region:
        raise Refused(400, "AuthorizationHeaderMalformed", f"the region '{signed_region}' is wrong", Region=region)
    try:
        secret, token = secret_of(key_id)
    except KeyError:
        raise Refused(403, "InvalidAccessKeyId", "The Access Key Id does not exist") from None
    signed_names = fields["SignedHeaders"].split(";")
    if "host" not in signed_names or any(name.startswith("x-amz-") and name not in signed_names for name in headers):
        raise Refused(403, "SignatureDoesNotMatch", "Host and every x-amz-* header must be signed")
    if signed_names != sorted(signed_names):
        raise Refused(403, "SignatureDoesNotMatch", "SignedHeaders is not sorted")
    payload = headers.get("x-amz-content-sha256")
    if service == "s3":
        if payload is None:
            raise Refused(400, "InvalidRequest", "Missing required header x-amz-content-sha256")
        if payload not in ("UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()):
            raise Refused(400, "XAmzContentSHA256Mismatch", "The body is another than was signed")
    else:
        payload = hashlib.sha256(body).hexdigest()
    stamp = headers["x-amz-date"]
    canonical = "\n".join([
        method, path, canonical_query(query),
        *(f"{name}:{' '.join(headers[name].split())}" for name in signed_names), "",
        ";".join(signed_names), payload])
    scope = f"{date}/{signed_region}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in (date, signed_region, service, "aws4_request"):
        key = _hmac(key, part)
    if not hmac.compare_digest(_hmac(key, to_sign).hex(), fields["Signature"]):
        raise Refused(403, "SignatureDoesNotMatch", "The signature does not match")
    if headers.get("x-amz-security-token", "") != (token or ""):
        raise Refused(400, "InvalidToken", "The token is malformed or otherwise invalid")
    if abs(_seconds(stamp) - now) > 900 or not stamp.startswith(date):
        raise Refused(403, "RequestTimeTooSkewed", "The difference between the clocks is too large")
    return key_id


def _seconds(stamp):
    import calendar
    import time
    return calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
