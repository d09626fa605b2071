"""Verifies a token against a JWK Set with PyJWT.

Usage: verify.py TOKEN_FILE JWKS_FILE CLAIMS_FILE. It exits 0 when the signature and the times hold and the token has
every claim of CLAIMS_FILE, else 1 with the reason.
"""

import json
import pathlib
import sys

import jwt


def verify(token_file, jwks_file, claims_file):
    token = pathlib.Path(token_file).read_text().strip()
    keys = jwt.PyJWKSet.from_json(pathlib.Path(jwks_file).read_text())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    options = {"require": ["exp", "iat", "iss", "jti"]}
    actual = jwt.decode(token, key, algorithms=["EdDSA"], options=options)
    for name, value in json.loads(pathlib.Path(claims_file).read_text()).items():
        if name not in actual or actual[name] != value:
            raise ValueError(f"claim {name} is {actual.get(name)!r}, expected {value!r}")


try:
    verify(*sys.argv[1:])
except (jwt.PyJWTError, KeyError, ValueError) as error:
    sys.exit(f"PyJWT: {type(error).__name__}: {error}")
print("PyJWT: verified")
