import assert from "node:assert/strict";
import { test } from "node:test";
import { rotationUsages } from "../core/bootstrap/kubelet_templates.ts";
import { AppError } from "../core/errors.ts";
import { type CertificateSigningRequest, KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../core/kube/certificates_v1.ts";
import { generatePrivateKey } from "../core/pki/keys.ts";
import { createFakeClock } from "../tests/support/fake_clock.ts";
import { startFakeApi } from "../tests/support/fake_api.ts";
import { encodeBase64 } from "../tests/support/issuing_ca.ts";
import { createMemoryLogger } from "../tests/support/memory_logger.ts";
import { createSeededRandom } from "../tests/support/seeded_random.ts";
import { createCertificateRequester } from "./certificate_requester.ts";
import { createTlsTransport } from "./transport/tls_transport.ts";

const NOW = new Date(Math.floor(Date.now() / 1000) * 1000);
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const template = {
  commonName: "system:node:n1",
  organizations: ["system:nodes"],
  dnsNames: [],
  ipAddresses: [],
};

const CLIENT = { signerName: KUBE_APISERVER_CLIENT_KUBELET_SIGNER, usages: rotationUsages };

test("a renewal posts a generated name, kubelet's usages and order, and answers the certificate", async () => {
  await using api = await startFakeApi({ now: NOW });
  const key = await generatePrivateKey("ecdsa-p256");
  const { commonName, organizations } = template;
  const subject = { commonName, organizations };
  const pem = await api.ca.issue({ publicKeyDer: key.publicKeyDer(), subject });
  const condition = { type: "Approved", status: "True", lastUpdateTime: null, lastTransitionTime: null };
  api.onCreate = (csr) => void api.put({ ...csr, status: { conditions: [condition], certificate: encodeBase64(pem) } });
  const asked: string[] = [];
  const request = createCertificateRequester({
    ...CLIENT,
    connect(credentials) {
      asked.push(credentials);
      return Promise.resolve(createTlsTransport({ server: api.server, caPem: api.ca.caPem, userAgent: "x" }));
    },
    clock: createFakeClock(NOW),
    random: createSeededRandom(),
    logger: createMemoryLogger(),
  });
  assert.equal(await request(key, template, "bootstrap", new AbortController().signal), pem);
  assert.deepEqual(asked, ["bootstrap"]);
  const csr = api.received[0]?.body as CertificateSigningRequest;
  assert.deepEqual(csr.metadata, { generateName: "csr-" });
  assert.deepEqual(csr.spec.usages, ["digital signature", "client auth"]);
  assert.equal(csr.spec.signerName, "kubernetes.io/kube-apiserver-client-kubelet");
  assert.equal(api.requests[0], `POST ${CSRS}`);
});

test("a renewal is given up after fifteen minutes", async () => {
  await using api = await startFakeApi({ now: NOW });
  const clock = createFakeClock(NOW);
  const request = createCertificateRequester({
    ...CLIENT,
    connect: () => Promise.resolve(createTlsTransport({ server: api.server, caPem: api.ca.caPem, userAgent: "x" })),
    clock,
    random: createSeededRandom(),
    logger: createMemoryLogger(),
  });
  const key = await generatePrivateKey("ecdsa-p256");
  const renewal = assert.rejects(
    request(key, template, "current", new AbortController().signal),
    (error) => error instanceof AppError && error.code === "timeout",
  );
  await api.arrival(/watch=true/);
  await clock.advance(15 * 60_000);
  await renewal;
});
