/**
 * The review of node attestations: a machine exchanges a proof of its identity for a bootstrap token, in two calls
 * (`core/attestation/exchange.ts`). Anyone may call it, so calls are limited per address and in total before their
 * bodies are read, and a wrong proof stores nothing but a limited number of Events.
 */
import { Counter } from "prom-client";
import {
  type AttestedNode,
  beginAttestation,
  completeAttestation,
  type ProvenKey,
  type SealingKey,
} from "../../core/attestation/exchange.ts";
import {
  type AttestationCall,
  parseAttestationCall,
  toWireChallenge,
} from "../../core/attestation/node_attestation.ts";
import { type ExpectedProofs, formatTokenProof, type ProofKind } from "../../core/attestation/proof.ts";
import { PROOF_KINDS } from "../../core/kube/kinds/constants.ts";
import { isAppError } from "../../core/errors.ts";
import type { Event, SecretObject } from "../../core/kube/kinds/core_v1.ts";
import { nodeAttestationKind, nodeKind, secretKind } from "../../core/kube/kinds/mod.ts";
import type { AttestationCluster, NodeAttestation } from "../../core/kube/kinds/node_attestation.ts";
import { formatTime } from "../../core/kube/meta.ts";
import { validateNodeAttestation } from "../../core/kube/rules/reviews.ts";
import { formatApiVersion } from "../../core/kube/schema.ts";
import { type FieldError, invalidOmitted } from "../../core/kube/status/field_error.ts";
import {
  badRequest,
  forbidden,
  invalidObject,
  serviceUnavailable,
  tooManyRequests,
} from "../../core/kube/status/status.ts";
import { storedForm } from "../../core/kube/wire/stored_form.ts";
import { encodeBase64 } from "../../core/lib/encodings.ts";
import { toClientNetwork } from "../../core/lib/ip_address.ts";
import { cutLoggedText, escapeControls } from "../../core/lib/printable.ts";
import type { Result } from "../../core/lib/result.ts";
import { createTokenBuckets } from "../../core/lib/bounded.ts";
import type { NodeName } from "../../core/machine/node_name.ts";
import type { PublicKeyPin } from "../../core/pki/keys/key_names.ts";
import type { ObjectStore } from "../../core/ports.ts";
import {
  createTokenSecret,
  decideTokenSecret,
  decodeSecretValue,
  formatBootstrapToken,
  toTokenSecretName,
} from "../../core/token/token_secret.ts";
import { UP_TOKEN_GROUP } from "../../core/token/token_options.ts";
import { encodeTokenLimits, withCreator } from "../../core/token/bound_token.ts";
import type { PublishedCluster } from "../../core/token/cluster_info.ts";
import type { MetricsRegistry } from "../metrics/registry.ts";
import { createUid } from "../registry/registry.ts";
import type { Review, ReviewContext } from "../registry/resource.ts";
import { findTokenSecret, TOKEN_SECRETS_PREFIX } from "../registry/secrets.ts";
import { withMeta } from "../registry/write.ts";
import { recordServerEvent, type ServerEventDeps } from "../registry/events.ts";
import { AlreadyExistsError } from "../storage/storage.ts";

/** The machines whose proofs are expected. A changed inventory gets a new value. */
export interface ExpectedMachines {
  /** The kinds of proof that are expected of any machine. Without one, node attestations are not served. */
  readonly kinds: readonly ProofKind[];
  /** The PCRs that a TPM must quote, the same for every machine. */
  readonly pcrs: readonly number[];
  /**
   * Finds the proofs that are expected of a node that has proven a key; the error says why there are none. The time
   * that it takes does not reveal which nodes are listed. Without a key, it finds nodes that are listed by name, but
   * not those listed by the hash of their name.
   */
  find(node: NodeName, proven: ProvenKey | undefined, now: Date): Result<ExpectedProofs, string>;
}

/** A cluster other than the server's own, for which the server issues tokens. */
export interface TokenCluster {
  /** Returns where machines find the cluster. */
  published(): PublishedCluster;
  /** The group of the tokens. */
  readonly group: string;
  readonly secrets: Pick<ObjectStore<SecretObject>, "create">;
  readonly events: Pick<ObjectStore<Event>, "create">;
}

/** The settings of node attestations. */
export interface AttestationOptions {
  readonly sealingKey: SealingKey;
  /** Returns the pin of the CA by which clients trust this server. */
  readonly caHash: () => PublicKeyPin;
  readonly expected: () => ExpectedMachines;
  /** The cluster that the tokens are for; undefined when it is the server's own. */
  readonly cluster?: TokenCluster | undefined;
}

export interface NodeAttestationDeps extends ServerEventDeps, AttestationOptions {
  readonly registry: MetricsRegistry;
  /** Aborts when the server stops. */
  readonly stopping: AbortSignal;
}

/** The user who creates the tokens, in their records. */
const ATTESTATION_USER = "system:attestation";

/** Calls with the largest keys of every kind need less than half of this. */
const MAX_BODY_BYTES = 16_384;
/** The limit for one address. Many machines behind one address may start at the same moment. */
const ADDRESS_CALLS = { burst: 100, refillMs: 100 };
/** The limit for all addresses. A call takes about a millisecond. */
const ALL_CALLS = { burst: 300, refillMs: 10 };
/** The limit of tokens for one node, which are valid for ten minutes. */
const NODE_TOKENS = { burst: 20, refillMs: 30_000 };
/** The limit of Events about one machine of the inventory, or about all other machines together. */
const MACHINE_EVENTS = { burst: 1, refillMs: 60_000 };
const ALL_EVENTS = { burst: 30, refillMs: 2_000 };
/**
 * An Event is written after the answer, because the time of the answer would otherwise reveal which machines are
 * listed.
 */
const EVENT_DELAY_MS = 1_000;
const RETRY_AFTER_SECONDS = 1;

const CALL_RESULTS = ["challenged", "accepted", "malformed", "limited", "state", "proof", "inventory"] as const;

type CallResult = typeof CALL_RESULTS[number];

/** The results of calls whose kind of proof is unknown, because they were not read. */
const UNREAD_RESULTS: readonly CallResult[] = ["malformed", "limited"];

/** Creates the review of node attestations. */
export function createNodeAttestations(deps: NodeAttestationDeps): Review {
  const { clock, logger, random, cluster } = deps;
  const elapsedMs = (): number => clock.elapsedMs();
  const addressCalls = createTokenBuckets(elapsedMs, ADDRESS_CALLS);
  const allCalls = createTokenBuckets(elapsedMs, ALL_CALLS);
  const nodeTokens = createTokenBuckets(elapsedMs, NODE_TOKENS);
  const machineEvents = createTokenBuckets(elapsedMs, MACHINE_EVENTS);
  const allEvents = createTokenBuckets(elapsedMs, ALL_EVENTS);
  const calls = new Counter({
    name: "tlsboot_node_attestations_total",
    help: "Calls by which machines exchange a proof for a bootstrap token, by the kind of proof and the result.",
    labelNames: ["kind", "result"],
    registers: [deps.registry],
  });
  const count = (kind: ProofKind | "", result: CallResult): void => calls.inc({ kind, result });
  // Prometheus sees no increase when a series begins with one, so it begins with zero.
  for (const result of CALL_RESULTS) for (const kind of PROOF_KINDS) calls.inc({ kind, result }, 0);
  for (const result of UNREAD_RESULTS) calls.inc({ kind: "", result }, 0);

  /** Reports a refusal in the log and the audit log, and as an Event unless there were too many. */
  const report = (node: NodeName, kind: ProofKind, detail: string, context: ReviewContext): void => {
    const { now, address = "", annotate } = context;
    const reason = cutLoggedText(escapeControls(detail));
    logger.warn("node attestation refused", { node, kind, reason, address });
    annotate("attestation.tlsboot/refused", reason);
    machineEvents.sweep();
    const isListed = deps.expected().find(node, undefined, now).ok;
    if (!machineEvents.take(isListed ? node : "") || !allEvents.take("")) return;
    const from = address === "" ? "" : ` from ${address}`;
    const event = {
      about: { kind: nodeKind.kind, name: node, apiVersion: formatApiVersion(nodeKind) },
      namespace: "default",
      reason: "NodeAttestationRefused",
      message: `An attempt${from} to prove to be node "${node}" was refused: ${reason}`,
      action: "Attesting",
    };
    const createEvent = cluster && ((object: Event) => cluster.events.create(object, deps.stopping));
    clock.sleep(EVENT_DELAY_MS, deps.stopping)
      .then(() => recordServerEvent({ ...deps, createEvent }, event), () => undefined);
  };

  async function begin(
    { node, key, evidence }: Extract<AttestationCall, { call: "begin" }>,
    context: ReviewContext,
  ): Promise<NodeAttestation["status"]> {
    const caHash = deps.caHash();
    const options = { ...deps, caHash, now: context.now, pcrs: deps.expected().pcrs, random };
    const begun = await beginAttestation({ node, key, evidence }, options);
    if (!begun.ok) {
      const { field, message } = begun.error;
      count(evidence.kind, "malformed");
      report(node, evidence.kind, `${field}: ${message}`, context);
      throw createInvalidError([invalidOmitted(`spec.evidence.${field}`, message)]);
    }
    count(evidence.kind, "challenged");
    const { challenge, nonce, state } = begun.value;
    return { challenge: toWireChallenge(challenge, nonce, caHash), state: encodeBase64(state) };
  }

  async function complete(
    call: Extract<AttestationCall, { call: "complete" }>,
    context: ReviewContext,
  ): Promise<NodeAttestation["status"]> {
    const { node, key, answer: { kind } } = call;
    const { now, address, annotate, isDryRun } = context;
    if (isDryRun) {
      count(kind, "malformed");
      throw badRequest("dryRun is not possible with an answer to a challenge: a token that is not stored is not valid");
    }
    const completed = completeAttestation(call, {
      ...deps,
      caHash: deps.caHash(),
      now,
      findExpected: (name, proven) => deps.expected().find(name, proven, now),
    });
    if (!completed.ok) {
      const { reason, message, detail } = completed.error;
      count(kind, reason);
      report(node, kind, detail, context);
      throw forbidden(nodeAttestationKind, node, message);
    }
    nodeTokens.sweep();
    if (!nodeTokens.take(node)) {
      count(kind, "limited");
      throw tooManyRequests("too many tokens for this node: try again", NODE_TOKENS.refillMs / 1_000);
    }
    const { token, proof } = completed.value;
    const secret = await storeToken(deps, { node, key, ...completed.value }, now);
    count(kind, "accepted");
    logger.info("node attestation accepted", { node, kind, key: proof.key, tokenId: token.id, address });
    annotate("attestation.tlsboot/proof", formatTokenProof(proof));
    annotate("attestation.tlsboot/token-id", token.id);
    return {
      token: formatBootstrapToken(token),
      expirationTimestamp: decodeSecretValue(secret, "expiration"),
      ...(cluster === undefined ? {} : { cluster: toWireCluster(cluster.published()) }),
    };
  }

  return {
    kind: nodeAttestationKind,
    maxBodyBytes: MAX_BODY_BYTES,
    admit(address) {
      // The limit of the address comes first, so that one address alone never exhausts the total.
      if (!addressCalls.take(toClientNetwork(address)) || !allCalls.take("")) {
        count("", "limited");
        throw tooManyRequests("too many node attestations: try again", RETRY_AFTER_SECONDS);
      }
      addressCalls.sweep();
    },
    async answer(object, context) {
      const { spec } = object as NodeAttestation;
      const faults = validateNodeAttestation(object as NodeAttestation);
      const call = faults.length > 0
        ? { ok: false, error: faults } as const
        : parseAttestationCall(object as NodeAttestation);
      if (!call.ok) {
        count("", "malformed");
        throw createInvalidError(call.error);
      }
      context.annotate("attestation.tlsboot/node", spec.nodeName);
      const status = call.value.call === "begin"
        ? await begin(call.value, context)
        : await complete(call.value, context);
      const { nodeName, publicKey } = spec;
      const answered: NodeAttestation = { metadata: {}, spec: { nodeName, publicKey }, status };
      return answered;
    },
  };
}

function createInvalidError(faults: readonly FieldError[]) {
  return invalidObject(nodeAttestationKind, "", faults);
}

function toWireCluster({ server, caPem }: PublishedCluster): AttestationCluster {
  return { server, certificateAuthorityData: encodeBase64(caPem) };
}

/** Stores the token of a proof, or finds the one that an earlier call has stored. Throws StatusError 403 and 503. */
async function storeToken(
  deps: NodeAttestationDeps,
  { node, key, token, expiration, proof }: AttestedNode & Pick<AttestationCall, "node" | "key">,
  now: Date,
): Promise<SecretObject> {
  const { storage, random, cluster } = deps;
  const name = toTokenSecretName(token.id);
  const limited = withMeta(
    createTokenSecret({
      token,
      expiration,
      usages: ["authentication"],
      groups: [cluster?.group ?? UP_TOKEN_GROUP],
      description: `given to node ${node} for a proof`,
    }),
    { annotations: encodeTokenLimits({ node, publicKey: key, networks: [], isApproval: true }) },
  );
  const secret = withMeta(limited, {
    annotations: withCreator(limited, ATTESTATION_USER, now, formatTokenProof(proof)),
  });
  if (cluster !== undefined) return await createInCluster(cluster, secret, deps);
  const stamped = withMeta(secret, { uid: createUid(random), creationTimestamp: formatTime(now) });
  const object = storedForm(secretKind.schema, stamped);
  try {
    return (await storage.create(`${TOKEN_SECRETS_PREFIX}${name}`, object)).object as SecretObject;
  } catch (error) {
    if (!(error instanceof AlreadyExistsError)) throw error;
  }
  const stored = (await findTokenSecret(storage, name))?.object;
  if (stored !== undefined && decideTokenSecret(stored, token, now).ok) return stored;
  throw forbidden(nodeAttestationKind, node, "the token of this proof is no longer valid: begin again");
}

/**
 * Creates the token in another cluster. A token that exists was created by an earlier call with the same answer. It is
 * not read, because the right to read tokens would be the right to read every Secret of their namespace.
 */
async function createInCluster(
  { secrets }: TokenCluster,
  secret: SecretObject,
  { logger, stopping }: NodeAttestationDeps,
): Promise<SecretObject> {
  try {
    await secrets.create(secret, stopping);
  } catch (error) {
    if (!isAppError(error, "already_exists")) {
      logger.error("the token cannot be created in the cluster", { secret: secret.metadata.name, error });
      throw serviceUnavailable("the cluster did not accept the token: try again");
    }
  }
  return secret;
}
