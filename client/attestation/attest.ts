/**
 * Exchanges a proof of which machine this is for a bootstrap token of one node and one key, whose requests are approved
 * already. The server is found by the hash of its CA, as with a token. The machine signs a text that it composes itself, so
 * that a server gets no signature of any other text.
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

/** The means by which this machine proves its identity: its TPM, or its SSH host key. */
export interface Prover {
  readonly kind: ProofKind;
  /** Reads the public keys that the server challenges. */
  evidence(): Promise<Evidence>;
  /** Answers the challenge, and signs the message. */
  prove(challenge: ProofChallenge, message: Bytes): Promise<ProofAnswer>;
}

/** The server, the machine, and the key for which it wants a certificate. */
export interface AttestOptions {
  /** The URL of the server, `https://host:port`. */
  readonly server: string;
  /** The accepted hashes of the CA's public key, at least one. */
  readonly pins: readonly PublicKeyPin[];
  /** The cluster of this machine's kubeconfig: its CAs follow a replacement, which the hashes cannot. */
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
  /** A try failed and is repeated after a pause; reported once for each reason. */
  | { readonly kind: "provingDelayed"; readonly reason: string }
  | { readonly kind: "proven"; readonly server: string; readonly expiration: Date | undefined };

/** The token for a proof, and the cluster that it is for. */
export interface AttestedJoin extends PublishedCluster {
  readonly token: BootstrapToken;
  readonly expiration: Date | undefined;
}

const WAIT_SECONDS = 300;

/**
 * Proves to a server which machine this is, and returns the token that the server gives for it. It tries again while the
 * server does not answer. AppError `access_denied` when the proof is refused, `not_found`, `access_denied` or
 * `unauthorized` when the server expects none, `tls_untrusted`, `unreachable`, `timeout` when the prover does not answer,
 * and the errors of the prover.
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
  // Nothing ends a step of a TPM or a program that hangs, so the limit ends the wait for it.
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
  // A machine without its TPM or its key does not wait for the server to say so.
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

/** What does not answer, and what to do about it. */
const SILENT: Readonly<Record<ProofKind, readonly [what: string, hint: string]>> = {
  tpm: ["its TPM does not answer", "check that no other program keeps the TPM busy, or restart the machine"],
  ssh: ["its SSH host key does not sign in time", "check with ssh-add -l that the agent answers"],
};

/** A machine that proves at each request which one it is. */
export interface ProvingMachine extends Omit<AttestOptions, "key" | "readKnownCluster"> {
  readonly kubeconfigPath: string;
  readonly files: FilePort;
}

/** Creates the proof that each request of a machine is made with. */
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
    throw createAnswerError(options, "it is no challenge for this proof");
  }
  const caHash = findTrustedPin(options, caPem, wire.caCertHash);
  const pin = publicKeyPin({ publicKeyDer });
  const message = createProofMessage({ caHash, node: nodeName, key: pin, challenge: checkNonce(options, wire.nonce) });
  const answer = toWireAnswer(await prover.prove(challenge, message));
  const given = await call(api, { ...subject, answer, state }, signal).catch((error: unknown) => {
    throw explainRefusal(options, error, "second");
  });
  const token = parseBootstrapToken(given.token ?? "");
  if (!token.ok) throw createAnswerError(options, "it has no bootstrap token");
  return {
    ...toCluster(given.cluster) ?? published,
    token: token.value,
    expiration: given.expirationTimestamp ? new Date(given.expirationTimestamp) : undefined,
  };
}

/**
 * Finds the cluster and its CAs by the hash. When the CA was replaced, the hash fits no longer, but the kubeconfig of this
 * machine has the new CA.
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

/** Returns the CA that the server signs as, which must be one that this connection trusts. */
function findTrustedPin(options: AttestOptions, caPem: string, caCertHash: string): PublicKeyPin {
  const bundle = parseCaBundle(caPem);
  const found = bundle.ok ? bundle.value.map(publicKeyPin).find((pin) => pin === caCertHash) : undefined;
  if (found !== undefined) return found;
  throw new AppError("tls_untrusted", `${cannotProve(options)}: the challenge is of another server's CA`, {
    hint: "check that the address is the server's own, and that nothing between it and this machine answers for it",
  });
}

const NONCE = /^[A-Za-z0-9_-]{43}$/;

/** Returns the challenge of the message, which must not end its line. */
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
  // The beginning of the message names the kind and the node, as that of every refusal of an API server.
  const why = error.message.replace(/^\S+ "[^"]*" is (?:forbidden|invalid): /, "");
  return refuse(why, code === "access_denied" ? inventory : SAME_VERSION);
}

function toCluster(cluster: NodeAttestation["status"]["cluster"]): PublishedCluster | undefined {
  if (cluster === undefined) return undefined;
  const { server, certificateAuthorityData } = cluster;
  return { server, caPem: Buffer.from(certificateAuthorityData ?? "", "base64").toString("utf8") };
}
