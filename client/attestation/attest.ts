/**
 * Exchanges a proof of this machine's identity for a bootstrap token, which is limited to one node and one key and also
 * approves the request. The hash of the CA identifies the server, as when joining with a token. The machine signs
 * only a text that it composes itself, so a server cannot obtain a signature over another text.
 */
import { Buffer } from "node:buffer";
import { createProofMessage } from "../../core/attestation/exchange.ts";
import { parseWireChallenge, toWireAnswer, toWireEvidence } from "../../core/attestation/node_attestation.ts";
import type { Evidence, ProofAnswer, ProofChallenge, ProofKind } from "../../core/attestation/proof.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import type { ResolvedCluster } from "../../core/kube/kubeconfig/kubeconfig.ts";
import { nodeAttestationKind } from "../../core/kube/kinds/mod.ts";
import type { NodeAttestation, NodeAttestationSpec } from "../../core/kube/kinds/node_attestation.ts";
import { orAbort } from "../../core/lib/waiting.ts";
import { encodeBase64 } from "../../core/lib/encodings.ts";
import { shellWord } from "../../core/lib/printable.ts";
import type { NodeName } from "../../core/machine/node_name.ts";
import type { Bytes } from "../../core/pki/asn1/der.ts";
import type { PrivateKey } from "../../core/pki/keys/keys.ts";
import { type PublicKeyPin, publicKeyPin } from "../../core/pki/keys/key_names.ts";
import { parseCaBundle } from "../../core/pki/x509/ca_bundle.ts";
import type { Clock } from "../../core/ports.ts";
import { type BootstrapToken, parseBootstrapToken } from "../../core/token/token_secret.ts";
import type { PublishedCluster } from "../../core/token/cluster_info.ts";
import type { ProveIdentity } from "../bootstrap.ts";
import { discoverPublishedCluster, toTokenCluster, tryUntilDone } from "../discover_cluster.ts";
import { postReview } from "../objects/access_reviews.ts";
import { type ApiClient, createApiClient } from "../objects/api.ts";
import type { FilePort } from "../files.ts";
import { type Connect, readCa, readCluster } from "../transport/connect.ts";
import { limitTime } from "../transport/time_limit.ts";

/** Proves this machine's identity with its TPM or its SSH host key. */
export interface Prover<K extends ProofKind = ProofKind> {
  readonly kind: K;
  /** Reads the public keys that the server challenges. This takes many seconds with some TPMs. */
  evidence(): Promise<Evidence & { readonly kind: K }>;
  /** Answers a challenge for the keys that `evidence` returned last, and signs the message. */
  prove(challenge: ProofChallenge, message: Bytes): Promise<ProofAnswer & { readonly kind: K }>;
}

/** The server, the machine, and the key for which it wants a certificate. */
export interface AttestOptions {
  /** The URL of the server, `https://host:port`. */
  readonly server: string;
  /** The accepted hashes of the CA's public key, at least one. */
  readonly pins: readonly PublicKeyPin[];
  /**
   * Reads the cluster from this machine's kubeconfig, whose CAs are updated when they are replaced; the hashes are not.
   */
  readonly readKnownCluster?: (() => Promise<PublishedCluster | undefined>) | undefined;
  readonly nodeName: NodeName;
  readonly key: Pick<PrivateKey, "publicKeyDer">;
  readonly prover: Prover;
  readonly connect: Connect;
  readonly clock: Clock;
  /** How long to wait for the server and the prover. Default: 300, as for the server's discovery. */
  readonly waitSeconds?: number | undefined;
  readonly onProgress?: ((event: AttestProgress) => void) | undefined;
}

/** A step of the exchange, for progress output. */
export type AttestProgress =
  | { readonly kind: "proving"; readonly server: string; readonly proof: ProofKind }
  /** An attempt failed and is repeated after a pause; reported once for each reason. */
  | { readonly kind: "provingDelayed"; readonly reason: string }
  | { readonly kind: "proven"; readonly server: string; readonly expiration: Date | undefined };

/** The token that a proof was exchanged for, and its cluster. */
export interface AttestedJoin extends PublishedCluster {
  readonly token: BootstrapToken;
  readonly expiration: Date | undefined;
}

const WAIT_SECONDS = 300;

/**
 * Proves this machine's identity to a server, and returns the token that the server issues for it. It retries while the
 * server does not answer. AppError `access_denied` when the proof is refused, `not_found`, `access_denied` or
 * `unauthorized` when the server accepts no proofs, `tls_untrusted`, `unreachable`, `timeout` when the prover does not
 * answer, and the errors of the prover.
 */
export async function attest(options: AttestOptions, signal: AbortSignal): Promise<AttestedJoin> {
  const { server, clock, onProgress, waitSeconds = WAIT_SECONDS } = options;
  const { kind } = options.prover;
  let delay: AppError | undefined;
  let isProving = false;
  const tooLate = (): Error =>
    isProving ? createSilenceError(options) : delay ?? new AppError(
      "unreachable",
      `${cannotProve(options)}: no answer in time`,
      { retryable: true, hint: "check the server address, and that the server runs" },
    );
  await using limit = limitTime(clock, waitSeconds * 1_000, tooLate, signal);
  // A TPM or program that hangs cannot be stopped, so the limit ends only the wait for it.
  const limited = async <T>(step: () => Promise<T>): Promise<T> => {
    limit.signal.throwIfAborted();
    isProving = true;
    try {
      return await orAbort(step(), limit.signal);
    } finally {
      isProving = false;
    }
  };
  const prover: Prover = {
    kind,
    evidence: () => limited(() => options.prover.evidence()),
    prove: (challenge, message) => limited(() => options.prover.prove(challenge, message)),
  };
  // A machine without a TPM or key fails here, before it waits for the server.
  const evidence = await prover.evidence();
  onProgress?.({ kind: "proving", server, proof: kind });
  const join = await tryUntilDone(
    async () => {
      try {
        return await exchange({ ...options, prover }, evidence, limit.signal);
      } catch (error) {
        limit.signal.throwIfAborted();
        if (!(error instanceof AppError) || !error.retryable) throw error;
        if (error.message !== delay?.message) onProgress?.({ kind: "provingDelayed", reason: error.message });
        delay = error;
        return undefined;
      }
    },
    clock,
    limit.signal,
  );
  onProgress?.({ kind: "proven", server: join.server, expiration: join.expiration });
  return join;
}

function cannotProve({ server, nodeName }: Pick<AttestOptions, "server" | "nodeName">): string {
  return `cannot prove to "${server}" that this machine is "${nodeName}"`;
}

function createSilenceError(options: AttestOptions): AppError {
  const [what, hint] = SILENT[options.prover.kind];
  return new AppError("timeout", `${cannotProve(options)}: ${what}`, { hint });
}

/** The fault and the hint when a prover does not answer. */
const SILENT: Readonly<Record<ProofKind, readonly [what: string, hint: string]>> = {
  tpm: ["its TPM does not answer", "check that no other program keeps the TPM busy, or restart the machine"],
  ssh: ["its SSH host key does not sign in time", "check with ssh-add -l that the agent answers"],
};

/** A machine that proves its identity for each request. */
interface ProvingMachine extends Omit<AttestOptions, "key" | "readKnownCluster"> {
  readonly kubeconfigPath: string;
  readonly files: FilePort;
}

/** Creates the function that proves a machine's identity for each request. */
export function createIdentityProof(machine: ProvingMachine): ProveIdentity {
  const readKnownCluster = async (): Promise<PublishedCluster | undefined> => {
    const { kubeconfigPath, files } = machine;
    if (await files.stat(kubeconfigPath) === undefined) return undefined;
    const { server, ca } = await readCluster(kubeconfigPath, files);
    return ca && { server, caPem: await readCa(ca, files) };
  };
  return async (key, signal) => {
    const { token, ...cluster } = await attest({ ...machine, key, readKnownCluster }, signal);
    return toTokenCluster(cluster, token);
  };
}

/** Makes the two calls of an exchange. */
async function exchange(options: AttestOptions, evidence: Evidence, signal: AbortSignal): Promise<AttestedJoin> {
  const { server, nodeName, key, prover } = options;
  const published = await findServer(options, signal);
  const { caPem } = published;
  const cluster: ResolvedCluster = { server, insecureSkipTlsVerify: false, ca: { kind: "pem", pem: caPem } };
  await using transport = await options.connect(cluster);
  const api = createApiClient(transport, options);
  const publicKeyDer = key.publicKeyDer();
  const subject = { nodeName, publicKey: encodeBase64(publicKeyDer) };
  const first = { ...subject, evidence: toWireEvidence(evidence) };
  const { challenge: wire, state } = await call(api, first, signal).catch((error: unknown) => {
    throw explainRefusal(options, error, "first");
  });
  const challenge = wire && parseWireChallenge(wire, prover.kind);
  if (wire === undefined || challenge === undefined || state === undefined) {
    throw createAnswerError(options, "it is not a challenge for this proof");
  }
  const caHash = findTrustedPin(options, caPem, wire.caCertHash);
  const pin = publicKeyPin({ publicKeyDer });
  const message = createProofMessage({ caHash, node: nodeName, key: pin, challenge: checkNonce(options, wire.nonce) });
  const answer = toWireAnswer(await prover.prove(challenge, message));
  const issued = await call(api, { ...subject, answer, state }, signal).catch((error: unknown) => {
    throw explainRefusal(options, error, "second");
  });
  const token = parseBootstrapToken(issued.token ?? "");
  if (!token.ok) throw createAnswerError(options, "it has no bootstrap token");
  return {
    ...toCluster(issued.cluster) ?? published,
    token: token.value,
    expiration: issued.expirationTimestamp ? new Date(issued.expirationTimestamp) : undefined,
  };
}

/**
 * Finds the cluster and its CAs by the hash. After the CA was replaced, the hash no longer matches, but this machine's
 * kubeconfig has the new CA.
 */
async function findServer(options: AttestOptions, signal: AbortSignal): Promise<PublishedCluster> {
  try {
    return await discoverPublishedCluster({ ...options, waitSeconds: options.waitSeconds ?? WAIT_SECONDS }, signal);
  } catch (error) {
    signal.throwIfAborted();
    const known = isAppError(error, "tls_untrusted") ? await options.readKnownCluster?.() : undefined;
    if (known === undefined) throw error;
    return known;
  }
}

async function call(
  api: ApiClient,
  spec: NodeAttestationSpec,
  signal: AbortSignal,
): Promise<NodeAttestation["status"]> {
  const { status = {} } = await postReview<NodeAttestation>(api, nodeAttestationKind, { spec }, signal);
  return status;
}

/** Finds the CA hash of the challenge among the CAs that this connection trusts. AppError `tls_untrusted`. */
function findTrustedPin(options: AttestOptions, caPem: string, caCertHash: string): PublicKeyPin {
  const bundle = parseCaBundle(caPem);
  const trusted = bundle.ok ? bundle.value.map(publicKeyPin).find((pin) => pin === caCertHash) : undefined;
  if (trusted !== undefined) return trusted;
  throw new AppError("tls_untrusted", `${cannotProve(options)}: the challenge is of another server's CA`, {
    hint: "check that the address is the server's own, and that nothing between it and this machine answers for it",
  });
}

const NONCE = /^[A-Za-z0-9_-]{43}$/;

/** Checks the nonce, because a line break in it would end its line of the message. */
function checkNonce(options: AttestOptions, nonce: string): string {
  if (NONCE.test(nonce)) return nonce;
  throw createAnswerError(options, "its challenge is malformed");
}

function createAnswerError(options: AttestOptions, why: string): AppError {
  return new AppError("api_error", `${cannotProve(options)}: the answer cannot be used, because ${why}`, {
    hint: SAME_VERSION,
  });
}

const SAME_VERSION = "check that the server and this program are of the same version";

/** Explains why the server refused a call, and what to do. */
function explainRefusal(options: AttestOptions, error: unknown, call: "first" | "second"): unknown {
  if (!(error instanceof AppError) || error.retryable) return error;
  const { code } = error;
  const inventory = "compare the inventory of the server with what this machine prints: " +
    `tlsboot attest --show --hostname-override ${shellWord(options.nodeName)}`;
  const refuse = (why: string, hint: string): AppError =>
    new AppError(code, `${cannotProve(options)}: ${why}`, { cause: error, hint });
  if (call === "first" && ["not_found", "access_denied", "unauthorized"].includes(code)) {
    return refuse("the server expects no proofs", `${inventory}; or use a token: tlsboot token create`);
  }
  // Like every refusal of an API server, the message begins with the kind and the name of the object.
  const why = error.message.replace(/^\S+ "[^"]*" is (?:forbidden|invalid): /, "");
  return refuse(why, code === "access_denied" ? inventory : SAME_VERSION);
}

function toCluster(cluster: NodeAttestation["status"]["cluster"]): PublishedCluster | undefined {
  if (cluster === undefined) return undefined;
  const { server, certificateAuthorityData } = cluster;
  return { server, caPem: Buffer.from(certificateAuthorityData ?? "", "base64").toString("utf8") };
}
