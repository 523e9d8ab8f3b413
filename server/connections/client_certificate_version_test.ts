import assert from "node:assert/strict";
import { request } from "node:https";
import { test } from "node:test";
import { createSystemClock } from "../../cli/system.ts";
import { createIssuingCa, issueServing } from "../../tests/support/issuing_ca.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { startServer } from "../server.ts";
import { createMemoryStorage } from "../storage/memory/journaled_storage.ts";

// Made by openssl, valid until 2126: a CA, two certificates of system:masters for one key (X.509 v1 and v3), that key,
// and a key that belongs to neither.
const CA = `-----BEGIN CERTIFICATE-----
MIIBcDCCARegAwIBAgIUBAJBOaoVQkMBmxZGH6R9DOEOzZkwCgYIKoZIzj0EAwIw
DTELMAkGA1UEAwwCY2EwIBcNMjYxMTI1MDMwOTU5WhgPMjEyNjExMDEwMzA5NTla
MA0xCzAJBgNVBAMMAmNhMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEMcrU5bhx
GemwmUNlnMVzb3Pr4CBUe6unRr9vm4rUXkIyggmz/2WW9L8R7teeUxpVOqMauRaA
zZgaKWMwbNdV4qNTMFEwHQYDVR0OBBYEFF+ma0HyKlt6pEDo+irkBo2/GgdbMB8G
A1UdIwQYMBaAFF+ma0HyKlt6pEDo+irkBo2/GgdbMA8GA1UdEwEB/wQFMAMBAf8w
CgYIKoZIzj0EAwIDRwAwRAIgAPbcts+4dbeKIBh3Kx0LC3eqakTaL/1X394Wa3bp
/PECIFrrq3ina60GxWytz0h0bK7a65qkeP2G/v7Xb5zxMuJF
-----END CERTIFICATE-----
`;
const VERSION_1 = `-----BEGIN CERTIFICATE-----
MIIBMTCB2QIUK/5tIegNI+bckj0Tc3skNzi8ZSYwCgYIKoZIzj0EAwIwDTELMAkG
A1UEAwwCY2EwIBcNMjYxMTI1MDMwOTU5WhgPMjEyNjExMDEwMzA5NTlaMCkxFzAV
BgNVBAoMDnN5c3RlbTptYXN0ZXJzMQ4wDAYDVQQDDAVhZG1pbjBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABJrlJlqdm3xs9jZvb8rKJOKoth2Frnts5la6GgO8kjxz
8+vuD18KPTPPiqB4+jSpP3HSj2ts4GdBY8k4MZbdfqwwCgYIKoZIzj0EAwIDRwAw
RAIgCIMJFJh2HPBX0YDyEK97u/WNW8Cyjg1sqgApm6v4HUoCIGhpUhuMYSDwirAs
2zt9VawsyE9qgI4StR/ViuSLExAo
-----END CERTIFICATE-----
`;
const VERSION_3 = `-----BEGIN CERTIFICATE-----
MIIBkTCCATegAwIBAgIUFb0wz89IPHjukeZjXYsdDclyZBAwCgYIKoZIzj0EAwIw
DTELMAkGA1UEAwwCY2EwIBcNMjYxMTI1MDMwOTU5WhgPMjEyNjExMDEwMzA5NTla
MCkxFzAVBgNVBAoMDnN5c3RlbTptYXN0ZXJzMQ4wDAYDVQQDDAVhZG1pbjBZMBMG
ByqGSM49AgEGCCqGSM49AwEHA0IABJrlJlqdm3xs9jZvb8rKJOKoth2Frnts5la6
GgO8kjxz8+vuD18KPTPPiqB4+jSpP3HSj2ts4GdBY8k4MZbdfqyjVzBVMBMGA1Ud
JQQMMAoGCCsGAQUFBwMCMB0GA1UdDgQWBBQxbV5s98tbKXru0xxbdgtw7WUrvzAf
BgNVHSMEGDAWgBRfpmtB8ipbeqRA6Poq5AaNvxoHWzAKBggqhkjOPQQDAgNIADBF
AiEA1JZZ1oPnosH4ZNbt24IMxWsMzIdI1SC3p67YgtQu8CkCIF9Fp9odMZ436QS6
ooj3VhY6I7ZBw1P9HUg9c0E+zFV3
-----END CERTIFICATE-----
`;
const OWN_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg393GAijhyKkYB8zZ
6apI6gTqnn/xJWRDOSTPquen2PGhRANCAASa5SZanZt8bPY2b2/KyiTiqLYdha57
bOZWuhoDvJI8c/Pr7g9fCj0zz4qgePo0qT9x0o9rbOBnQWPJODGW3X6s
-----END PRIVATE KEY-----
`;
const OTHER_KEY = `-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIKrBv+ps2vkEyYnRBnV5Mf2rBd3nrxHinbLsHl7sFvpJoAoGCCqGSM49
AwEHoUQDQgAEt140rROfFMu/KS18GfYGr1eUfDIo1Yqd6dOE08f4AUkgFPXX9TC8
gzt+zoSJlEAg4or0lhOphD0vXFXxMBTZYw==
-----END EC PRIVATE KEY-----
`;

const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

// Deno completes the handshake of a v1 certificate that is presented with another key; Node's client does not even
// send one. On either runtime, the client must not be identified as the owner of the certificate.
for (
  const { name, cert, key, want } of [
    { name: "a v3 certificate with its own key", cert: VERSION_3, key: OWN_KEY, want: /^200$/ },
    { name: "a v1 certificate with another key", cert: VERSION_1, key: OTHER_KEY, want: /^(401|refused)$/ },
    { name: "a v3 certificate with another key", cert: VERSION_3, key: OTHER_KEY, want: /^(401|refused)$/ },
  ]
) {
  test(`listen() with ${name}: ${want.source}`, async () => {
    const clock = createSystemClock();
    await using storage = createMemoryStorage({ clock });
    await using server = await startServer({
      storage,
      clock,
      random: createSeededRandom(),
      logger: createMemoryLogger(),
      bindAddress: "127.0.0.1",
      port: 0,
      serving: await issueServing(await createIssuingCa(clock.now())),
      clientCaPem: CA,
      tokenFile: undefined,
      bootstrapTokens: false,
      anonymous: true,
      audit: undefined,
      version: {},
      objects: [],
    });
    assert.match(await findOutcome(server.port, cert, key), want);
  });
}

function findOutcome(port: number, cert: string, key: string): Promise<string> {
  return new Promise((resolve) => {
    try {
      const options = { host: "127.0.0.1", port, path: CSRS, rejectUnauthorized: false, cert, key, agent: false };
      const asking = request(options, (answer) => {
        answer.resume();
        answer.once("end", () => resolve(String(answer.statusCode)));
      });
      asking.once("error", () => resolve("refused"));
      asking.end();
    } catch {
      // Node's own check that certificate and key belong together.
      resolve("refused");
    }
  });
}
