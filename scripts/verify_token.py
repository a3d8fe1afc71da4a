"""Verifies an access token with PyJWT, knowing nothing but the issuer: discovery, then JWKS, then the signature.

Usage: verify_token.py ISSUER TOKEN [AUDIENCE]; prints the claims, fails when the token does not verify.
"""

import json
import sys
import urllib.request

import jwt


def main() -> None:
    issuer, token = sys.argv[1], sys.argv[2]
    audience = sys.argv[3] if len(sys.argv) > 3 else None
    with urllib.request.urlopen(issuer + "/.well-known/openid-configuration", timeout=10) as answer:
        discovery = json.load(answer)
    if discovery["issuer"] != issuer:
        sys.exit(f"discovery names the issuer {discovery['issuer']}, not {issuer}")
    key = jwt.PyJWKClient(discovery["jwks_uri"], timeout=10).get_signing_key_from_jwt(token)
    claims = jwt.decode(
        token,
        key,
        algorithms=discovery["id_token_signing_alg_values_supported"],
        issuer=issuer,
        audience=audience,
        options={"require": ["iss", "sub", "aud", "exp", "iat"], "verify_aud": audience is not None},
    )
    # A signature that is off by one letter must not pass, else this check shows nothing.
    head, body, signature = token.split(".")
    flipped = ("B" if signature[10] == "A" else "A").join((signature[:10], signature[11:]))
    try:
        jwt.decode(".".join((head, body, flipped)), key, algorithms=["EdDSA"], options={"verify_aud": False})
    except jwt.InvalidSignatureError:
        print(json.dumps(claims))
    else:
        sys.exit("a token with a changed signature was accepted")


main()
