// An identity provider on loopback: oidc-provider with four signature algorithms, and one user who consents to everything.
//
// Usage: provider.mjs PORT, where 0 is any free port. It prints `listening ISSUER`. SIGHUP makes it sign with new keys, and publish
// the ones before besides; it prints `rotated`.
//
// Clients: `web-ALG` logs users in and gets ID tokens signed with ALG; `batch` (secret `secret`) gets access tokens for
// the resource `https://api.example/ALG`.

import { createServer } from "node:http";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import Provider from "oidc-provider";

const algorithms = {
  RS256: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
  PS256: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
  EdDSA: () => generateKeyPairSync("ed25519"),
};

function makeKeys() {
  return Object.entries(algorithms).map(([alg, generate]) => ({
    ...generate().privateKey.export({ format: "jwk" }),
    kid: randomUUID(),
    use: "sig",
    alg,
  }));
}

function makeProvider(issuer, keys) {
  const names = Object.keys(algorithms);
  const provider = new Provider(issuer, {
    jwks: { keys },
    cookies: { keys: ["of this process"] },
    clients: [
      ...names.map((alg) => ({
        client_id: `web-${alg}`,
        grant_types: ["implicit"],
        response_types: ["id_token"],
        redirect_uris: ["https://app.example/login/callback"],
        token_endpoint_auth_method: "none",
        id_token_signed_response_alg: alg,
      })),
      {
        client_id: "batch",
        client_secret: "secret",
        grant_types: ["client_credentials"],
        response_types: [],
        redirect_uris: [],
      },
    ],
    enabledJWA: { idTokenSigningAlgValues: names },
    claims: { openid: ["sub", "groups", "level", "https://ns.example/org", "address"] },
    findAccount: (_, sub) => ({
      accountId: sub,
      claims: () => ({
        sub,
        groups: ["Readers", "Domain Admins", "' || true || '"],
        level: 5,
        "https://ns.example/org": "gryffindor",
        address: { country: "UK", "roles.admin": true, 5: 0 },
      }),
    }),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({
          scope: "read",
          audience: resource,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: resource.split("/").at(-1) } },
        }),
      },
    },
  });
  provider.on("server_error", (_, error) => console.log(error));
  return provider;
}

// The user, who logs in and consents without being asked.
async function interact(provider, request, response) {
  const { params } = await provider.interactionDetails(request, response);
  const grant = new provider.Grant({ accountId: "harry", clientId: params.client_id });
  grant.addOIDCScope("openid");
  const result = { login: { accountId: "harry" }, consent: { grantId: await grant.save() } };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

let keys = makeKeys();
let provider;
const server = createServer(async (request, response) => {
  try {
    if (request.url.startsWith("/interaction/")) {
      await interact(provider, request, response);
    } else {
      await provider.callback()(request, response);
    }
  } catch (error) {
    console.log(error);
    response.writeHead(500).end();
  }
});
server.listen(Number(process.argv[2]), "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  provider = makeProvider(issuer, keys);
  process.on("SIGHUP", () => {
    const fresh = makeKeys();
    // It signs with the first key of an algorithm.
    provider = makeProvider(issuer, [...fresh, ...keys]);
    keys = fresh;
    console.log("rotated");
  });
  console.log(`listening ${issuer}`);
});
