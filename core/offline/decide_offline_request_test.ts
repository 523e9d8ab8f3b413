import assert from "node:assert/strict";
import { test } from "node:test";
import { createIssuingCa } from "../../tests/support/issuing_ca.ts";
import { parseCertificateChain } from "../machine/credential_pair.ts";
import { generatePrivateKey } from "../pki/keys/keys.ts";
import { createCertificationRequest, parseCertificationRequest } from "../pki/x509/pkcs10.ts";
import { findRequesterFault, getOfflineRequester } from "./decide_offline_request.ts";

const NOW = new Date("2026-01-01T00:00:00Z");
const SUBJECT = { commonName: "system:node:n1", organizations: ["system:nodes"] };

test("findRequesterFault() accepts the holder of a valid certificate of the same subject and no one else", async () => {
  const ca = await createIssuingCa(NOW);
  const key = await generatePrivateKey("ecdsa-p256");
  const facts = parseCertificationRequest(createCertificationRequest({ subject: SUBJECT }, key));
  assert.ok(facts.ok);
  const find = async (edit: object, by = ca): Promise<string> => {
    const chain = parseCertificateChain(
      await by.issue({ publicKeyDer: key.publicKeyDer(), subject: SUBJECT, ...edit }),
    );
    assert.ok(chain.ok);
    return findRequesterFault({ facts: facts.value }, { requester: chain.value }, [ca.authority.certificate], NOW) ??
      "";
  };
  assert.equal(await find({}), "");
  assert.match(await find({ subject: { commonName: "system:node:n2" } }), /another subject/);
  assert.match(await find({ notAfter: new Date(NOW.getTime() - 1_000) }), /expired/);
  assert.match(await find({}, await createIssuingCa(NOW)), /not valid here/);
  assert.equal(findRequesterFault({ facts: facts.value }, { requester: [] }, [], NOW), "it has no certificate yet");
});

test("getOfflineRequester() is the subject of a valid client certificate, and else not authenticated", async () => {
  const ca = await createIssuingCa(NOW);
  const key = await generatePrivateKey("ecdsa-p256");
  const chain = parseCertificateChain(await ca.issue({ publicKeyDer: key.publicKeyDer(), subject: SUBJECT }));
  assert.ok(chain.ok);
  const [leaf] = chain.value;
  const anonymous = { username: "system:anonymous", groups: ["system:unauthenticated"] };
  assert.deepEqual(getOfflineRequester({ requester: chain.value }, undefined), {
    username: "system:node:n1",
    groups: ["system:nodes", "system:authenticated"],
    extra: { "authentication.kubernetes.io/credential-id": [`X509SHA256=${leaf?.sha256Fingerprint}`] },
  });
  assert.deepEqual(getOfflineRequester({ requester: chain.value }, "it has expired"), anonymous);
  assert.deepEqual(getOfflineRequester({ requester: [] }, undefined), anonymous);
  const serving = { ...leaf!, extendedKeyUsages: [] };
  assert.deepEqual(getOfflineRequester({ requester: [serving] }, undefined), anonymous);
});
