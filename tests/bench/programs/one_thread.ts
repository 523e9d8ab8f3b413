/**
 * Verifies requests and issues certificates on one thread, or does only the two OpenSSL operations of that, or
 * authenticates a client certificate with or without 10,000 revocations. Prints a reading: milliseconds of one, and what
 * the process used for all.
 *
 * Usage: one_thread.ts core|openssl|revocations|authentication COUNT
 */
import { generateKeyPairSync, randomBytes, sign, verify } from "node:crypto";
import process from "node:process";
import { createSystemClock } from "../../../cli/system.ts";
import { parseRequest } from "../../../core/request/parse_request.ts";
import { createAuthority } from "../../../core/pki/authority/authority.ts";
import { chainNotAfter, encodeIssued } from "../../../core/pki/authority/authority_chain.ts";
import { issueCertificate } from "../../../core/pki/authority/issue.ts";
import { generatePrivateKey } from "../../../core/pki/keys/keys.ts";
import { planCertificate } from "../../../core/signing/plan.ts";
import { BUILTIN_SIGNERS } from "../../../core/signing/profile.ts";
import {
  type CertificateSigningRequest,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
} from "../../../core/kube/kinds/certificates_v1.ts";
import { RecordedCertificates } from "../../../core/revocation/recorded_certificates.ts";
import { createRevocation } from "../../../core/revocation/revocation.ts";
import { RevocationIndex } from "../../../core/revocation/revocation_index.ts";
import { DEFAULT_ISSUER } from "../../../core/service_accounts/issuer_documents.ts";
import { createAuthenticator } from "../../../server/authn/authenticator.ts";
import { runMain } from "../../support/command_line.ts";
import { createNodeRequest } from "../../overload/asking.ts";
import { createRecords } from "../../support/issued_records.ts";
import { createMemoryLogger } from "../../support/memory_logger.ts";
import { createClientCa, verifiedPeer } from "../../support/test_peers.ts";
import { readUsage } from "../processes.ts";
import type { Reading } from "../scenario.ts";
import { since } from "../instance.ts";

const YEAR_SECONDS = 365 * 24 * 3600;
/** The number of runs before the clock starts, because the compiler would be measured otherwise. */
const WARM_UP = 500;
const SERIAL_BYTES = 16;
/** About what a certificate without its signature has. */
const SIGNED_BYTES = 400;

async function main(): Promise<number> {
  const [what = "", text] = process.argv.slice(2);
  const count = Number(text);
  const prepare = WORKS[what];
  if (prepare === undefined || !Number.isInteger(count) || count < 1) {
    throw new Error(`usage: one_thread.ts ${Object.keys(WORKS).join("|")} COUNT`);
  }
  const act = await prepare(count + WARM_UP);
  for (let index = 0; index < WARM_UP; index++) await act(index);
  const before = readUsage([process.pid]);
  const startedAt = performance.now();
  for (let index = WARM_UP; index < count + WARM_UP; index++) await act(index);
  const value = (performance.now() - startedAt) / count;
  const reading: Reading = { value, usage: since(before, readUsage([process.pid])) };
  process.stdout.write(`${JSON.stringify(reading)}\n`);
  return 0;
}

/** Creates requests with a key of their own each, which are verified once. */
async function prepareCore(count: number): Promise<(index: number) => Promise<void>> {
  const now = new Date();
  const authority = await createAuthority({
    commonName: "bench",
    notBefore: now,
    notAfter: new Date(now.getTime() + 10 * YEAR_SECONDS * 1000),
    key: await generatePrivateKey("ecdsa-p256"),
    serial: Uint8Array.of(1),
  });
  const profile = BUILTIN_SIGNERS.get(KUBE_APISERVER_CLIENT_KUBELET_SIGNER);
  if (profile === undefined) throw new Error("there is no profile for kubelets");
  const requests: CertificateSigningRequest[] = [];
  for (let index = 0; index < count; index++) requests.push(await createNodeRequest(`n${index}`));
  return async (index) => {
    const csr = requests[index];
    const facts = parseRequest(csr?.spec.request ?? null);
    if (csr === undefined || !facts.ok) throw new Error(`request ${index} cannot be read`);
    const plan = planCertificate({
      csr,
      facts: facts.value,
      profile,
      caNotAfter: chainNotAfter(authority),
      issuers: [authority.certificate, ...authority.issuers],
      clientTrust: "trusted",
      signingDurationSeconds: YEAR_SECONDS,
      now,
    });
    if (!plan.ok) throw new Error(`request ${index} is refused: ${plan.error.message}`);
    encodeIssued(await issueCertificate(plan.value, authority, randomBytes(SERIAL_BYTES)), authority, undefined);
  };
}

/** The keys are there before. */
function prepareOpenssl(): (index: number) => Promise<void> {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const signed = randomBytes(SIGNED_BYTES);
  const signature = sign("sha256", signed, privateKey);
  return () => {
    if (!verify("sha256", signed, publicKey, signature)) throw new Error("OpenSSL does not know its own signature");
    sign("sha256", signed, privateKey);
    return Promise.resolve();
  };
}

/** A client certificate that is not revoked, among certificates, users, nodes and groups that are. */
async function prepareAuthentication(revocations: number): Promise<(index: number) => Promise<void>> {
  const now = new Date();
  const ca = await createClientCa(now);
  const peerCertificate = await verifiedPeer(ca, now, {
    commonName: "system:node:n1",
    organizations: ["system:nodes"],
  });
  const records = new RecordedCertificates();
  const index = new RevocationIndex(records.findByFingerprint);
  const edits = Array.from({ length: revocations }, (_, index) => ({ serialNumber: (index + 1).toString(16) }));
  for (const record of createRecords(edits)) records.put(record);
  for (let number = 1; number <= revocations; number++) {
    const kind = (["serial", "node", "user", "group"] as const)[number % 4]!;
    index.put(createRevocation({ kind, value: kind === "serial" ? number.toString(16) : `revoked-${number}` }, {
      reason: "keyCompromise",
    }));
  }
  const cas = [ca.certificate];
  const authenticate = createAuthenticator({
    clock: createSystemClock(),
    logger: createMemoryLogger(),
    clientCas: () => cas,
    anonymous: false,
    apiAudiences: [DEFAULT_ISSUER],
    revocations: { findRefusal: (user, certificate) => index.findForCredential(user, certificate)?.message },
  });
  return async () => {
    const { kind } = await authenticate({ peerCertificate, authorizationHeader: undefined });
    if (kind !== "user") throw new Error("the certificate is refused");
  };
}

const REVOCATIONS = 10_000;
/** The kinds of work by their names on the command line; each prepares a number of runs. */
const WORKS: Readonly<Record<string, (count: number) => Promise<(index: number) => Promise<void>>>> = {
  core: prepareCore,
  openssl: () => Promise.resolve(prepareOpenssl()),
  revocations: () => prepareAuthentication(REVOCATIONS),
  authentication: () => prepareAuthentication(0),
};

runMain("one thread", main);
