// Verifies a token against a JWK Set with jose.
//
// Usage: verify.mjs TOKEN_FILE JWKS_FILE CLAIMS_FILE. It exits 0 when the signature and the times hold and the token
// has every claim of CLAIMS_FILE, else 1 with the reason.

import { isDeepStrictEqual } from "node:util";
import { readFileSync } from "node:fs";
import { createLocalJWKSet, jwtVerify } from "jose";

const [token, jwks, claims] = process.argv.slice(2).map((file) => readFileSync(file, "utf8"));

try {
  const keys = createLocalJWKSet(JSON.parse(jwks));
  const options = { algorithms: ["EdDSA"], requiredClaims: ["exp", "iat", "iss", "jti"] };
  const { payload } = await jwtVerify(token.trim(), keys, options);
  for (const [name, value] of Object.entries(JSON.parse(claims))) {
    if (!isDeepStrictEqual(payload[name], value)) {
      throw new Error(`claim ${name} is ${JSON.stringify(payload[name])}, expected ${JSON.stringify(value)}`);
    }
  }
} catch (error) {
  console.error(`jose: ${error.message}`);
  process.exit(1);
}
console.log("jose: verified");
