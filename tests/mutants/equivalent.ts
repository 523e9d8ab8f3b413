/**
 * Mutants that change nothing anybody could observe, each with the reason. They do not count as survivors. A place is
 * named by its file and the texts that `deno task mutants` prints, so that it may move within its file.
 */
export interface Equivalent {
  readonly why: string;
  readonly file: string;
  /** The texts of mutants, each as `original → mutated`. */
  readonly changes: readonly string[];
}

export const EQUIVALENT: readonly Equivalent[] = [
  {
    why: "the parser throws on undefined, and that is caught two lines below with the same answer",
    file: "core/service_accounts/jwt.ts",
    changes: ["bytes === undefined → false"],
  },
  {
    why: "the writer of JSON leaves out members that are undefined, too",
    file: "core/service_accounts/jwt.ts",
    changes: ["Object.entries(value).filter(([, item]) => item !== undefined) → without filter"],
  },
  {
    why: "the names of an object's members differ",
    file: "core/service_accounts/jwt.ts",
    changes: ["a < b → a <= b"],
  },
  {
    why: "a block with another label is no private key for the parser either, and only ECDSA keys have a named curve",
    file: "core/service_accounts/jwt.ts",
    changes: ['"PRIVATE KEY" → ""', 'family === "ECDSA" → true'],
  },
  {
    why: "a list of length one has a first error",
    file: "server/authz/authorizer.ts",
    changes: ['errors[0] ?? "" → errors[0]'],
  },
  {
    why: "the authorizer allows a superuser to escalate, too",
    file: "server/authz/escalation_check.ts",
    changes: ["user.groups.includes(MASTERS_GROUP) → false"],
  },
  {
    why: "no RoleBinding is in the namespace undefined, as none is in the empty one",
    file: "server/authz/escalation_check.ts",
    changes: [
      'role.metadata.namespace ?? "" → role.metadata.namespace',
      'binding.metadata.namespace ?? "" → binding.metadata.namespace',
    ],
  },
  {
    why: "the keys of a Map differ",
    file: "server/authz/impersonation.ts",
    changes: ["a < b → a <= b"],
  },
  {
    why: "a path has no resource, and so no rule",
    file: "server/authz/authorizer.ts",
    changes: ['attributes.kind === "resource" → true'],
  },
  {
    why: "the names of the bindings of a namespace differ",
    file: "server/authz/authorizer.ts",
    changes: ["getName(a) < getName(b) → getName(a) <= getName(b)"],
  },
  {
    why: "what is remembered about an object that does not change is the same when it is computed again",
    file: "core/token/bound_token.ts",
    changes: ["limits === undefined → true"],
  },
  {
    why: "the parser finds nothing in undefined either",
    file: "core/token/bound_token.ts",
    changes: [
      'annotations[RECORDS.createdAt] ?? metadata.creationTimestamp ?? "" → annotations[RECORDS.createdAt] ?? metadata.creationTimestamp',
      'text ?? "" → text',
    ],
  },
  {
    why: "a limited token has annotations, and their names differ",
    file: "core/token/bound_token.ts",
    changes: ["annotations ?? {} → annotations", "a < b → a <= b"],
  },
  {
    why: "the pattern matches with all of its groups or not at all",
    file: "core/token/token_secret.ts",
    changes: ["id === undefined || secret === undefined → id === undefined && secret === undefined"],
  },
  {
    why: "the pattern matches with all of its groups or not at all; without a match the day is not that of any date",
    file: "core/token/token_secret.ts",
    changes: [
      "day === undefined || time === undefined || zone === undefined → false",
      "day === undefined || time === undefined || zone === undefined → day === undefined || time === undefined && zone === undefined",
      "day === undefined || time === undefined → day === undefined && time === undefined",
    ],
  },
  {
    why: "what is remembered about an object that does not change is the same when it is computed again",
    file: "core/token/token_secret.ts",
    changes: [
      "known === undefined → true",
      "text === undefined → true",
      "expiration === undefined → true",
      "groups === undefined → true",
    ],
  },
  {
    why: "the keys differ; a Secret with an id has data; an error has no value; no bytes decode as no text",
    file: "core/token/token_secret.ts",
    changes: [
      "a < b → a <= b",
      "secret.data ?? {} → secret.data",
      "token.ok → true",
      "bytes === undefined → false",
    ],
  },
  {
    why: "a function that ends without a return returns undefined, too",
    file: "core/token/token_secret.ts",
    changes: ['"never" → ""'],
  },
  {
    why:
      "a certificate of another CA is in the register, so the filter at the end leaves it out; and it costs only time",
    file: "core/revocation/crl_plan.ts",
    changes: ["one.issuerFingerprint === undefined → true", "unrecorded.length === 0 → false"],
  },
  {
    why: "no fingerprint, name or token id is empty or undefined, so looking for it finds nothing",
    file: "core/revocation/revocation_index.ts",
    changes: [
      'requester.certificateFingerprint === undefined && replaces === "" → false',
      'requester.certificateFingerprint ?? "" → requester.certificateFingerprint',
      'requester.username ?? "" → requester.username',
    ],
  },
  {
    why: "a function that ends without a return is not true either",
    file: "core/revocation/revocation.ts",
    changes: ['"serial" → ""', '"token" → ""'],
  },
  {
    why: "a lookup in an empty map finds nothing: the condition saves time",
    file: "core/revocation/revocation_index.ts",
    changes: [
      "this.size === 0 → false",
      "fingerprint === undefined → false",
      "group.size > 0 → true",
      "group.size > 0 → group.size >= 0",
      "token.size === 0 → false",
      'findTokenId(username) ?? "" → findTokenId(username)',
    ],
  },
  {
    why: "a Revocation that was found by its node has one, and is stored, so that it has a time",
    file: "core/revocation/revocation_index.ts",
    changes: [
      'node.spec.node ?? "" → node.spec.node',
      'revoked.spec.node ?? "" → revoked.spec.node',
      "notBefore ?? 0 → notBefore",
      "status.time ?? metadata.creationTimestamp ?? 0 → status.time ?? metadata.creationTimestamp",
    ],
  },
  {
    why: "sequence numbers begin at 1, and no number is at most undefined",
    file: "core/revocation/revocation_index.ts",
    changes: ["status.lastSequence ?? 0 → status.lastSequence"],
  },
  {
    why: "a function that ends without a return returns undefined, too; and nothing without a domain is restricted",
    file: "server/admission/node_restriction.ts",
    changes: ['"admit" → ""', "slash < 0 → slash <= 0"],
  },
  {
    why:
      "the restricted namespace is below kubernetes.io and is not one of a kubelet, so the next rule forbids it, too",
    file: "server/admission/node_restriction.ts",
    changes: ["isWithin(namespace, RESTRICTED_NAMESPACE) → false"],
  },
  {
    why: "what has no spec has no entries, and JSON has no member that is undefined",
    file: "server/admission/node_restriction.ts",
    changes: ['"spec" in object → true'],
  },
  {
    why: "without plugins the index is not read; sets that are empty or stale count nothing, and only take memory",
    file: "server/admission/certificates.ts",
    changes: [
      "maxOpenPerRequester === 0 && servedSigners === undefined → false",
      "requester === undefined → false",
      "this.#requesters.clear(); → removed",
      "this.#requesters.delete(name); → removed",
      "own?.size === 0 → false",
      "this.#open.delete(requester); → removed",
      "reserved?.size === 0 → false",
      "this.#reserved.delete(requester); → removed",
    ],
  },
  {
    why: "only a deletion has no object",
    file: "server/admission/certificates.ts",
    changes: ['operation === "DELETE" || object === undefined → operation === "DELETE" && object === undefined'],
  },
  {
    why: "waiting for a value that is no promise gives the value, a turn later",
    file: "server/admission/admission.ts",
    changes: ["answer instanceof Promise → true"],
  },
  {
    why: "only a deletion has no object, and only a creation has no old one",
    file: "server/admission/node_restriction.ts",
    changes: ['operation === "DELETE" || object === undefined → operation === "DELETE" && object === undefined'],
  },
  {
    why: "only a deletion has no object, and it is none of the requests that are checked",
    file: "server/revocation/revocations.ts",
    changes: ["object === undefined → false"],
  },
  {
    why: "a failed certificate was presented, and a result that is no user is not refused as revoked",
    file: "server/authn/authenticator.ts",
    changes: [
      'presented.kind === "failed" && peerCertificate !== undefined → presented.kind === "failed" || peerCertificate !== undefined',
      'tried.kind === "user" → true',
    ],
  },
  {
    why: "what was verified is verified again with the same result, and takes longer",
    file: "server/authn/authenticator.ts",
    changes: [
      "cached !== undefined && now >= cached.notBefore && now <= cached.notAfter && trusted.some(({ sha256… → false",
      "now >= cached.notBefore → now > cached.notBefore",
      "now >= cached.notBefore → now < cached.notBefore",
      "now <= cached.notAfter → now < cached.notAfter",
      "known.set(peer, read.value); → removed",
    ],
  },
  {
    why: "a text of another form is no token for the parser either; a missing token has no issuer",
    file: "server/authn/service_account_tokens.ts",
    changes: [
      "!hasJwtForm(token) → false",
      'jwt === undefined || typeof issuer !== "string" → jwt === undefined && typeof issuer !== "string"',
    ],
  },
  {
    why: "a token that its Secret refuses is refused before its limits are looked at",
    file: "server/authn/authenticator.ts",
    changes: ["identity.ok → true"],
  },
  {
    why: "an option that is absent is false",
    file: "core/signing/profile.ts",
    changes: ["input.allowMlDsa ?? false → input.allowMlDsa"],
  },
  {
    why: "a rule for RSA or ECDSA has a least size by default",
    file: "core/signing/profile_spec.ts",
    changes: ["minBits ?? least → minBits"],
  },
  {
    why: "what the engine remembers of past states is the same when it is computed again, and takes only memory",
    file: "server/storage/memory/engine.ts",
    changes: [
      "revision === this.#revision → false",
      "this.#snapshots.filter((snapshot) => snapshot.revision >= compaction.revision) → without filter",
      "snapshot.revision >= compaction.revision → snapshot.revision > compaction.revision",
      "snapshot.revision >= compaction.revision → snapshot.revision < compaction.revision",
      "this.#snapshots.filter((candidate) => candidate !== known) → without filter",
      "candidate !== known → candidate === known",
      "1 - MAX_SNAPSHOTS → 1 + MAX_SNAPSHOTS",
      "past.size === 0 → false",
    ],
  },
  {
    why: "dropped changes are only freed earlier or later: those before the head are not read",
    file: "server/storage/memory/engine.ts",
    changes: [
      "this.#entries.fill(undefined, this.#head, this.#head + count); → removed",
      "this.#head * 2 < this.#entries.length → true",
      "this.#head * 2 < this.#entries.length → false",
      "this.#head * 2 < this.#entries.length → this.#head * 2 <= this.#entries.length",
    ],
  },
  {
    why: "an error of another kind has no status, and undefined is not in the set",
    file: "server/storage/etcd/errors.ts",
    changes: ["error instanceof GrpcError → true"],
  },
  {
    why: "what is smaller is within the limit, too: the condition saves a measurement",
    file: "server/storage/memory/journaled_storage.ts",
    changes: ["bytes <= LARGE_JSON_BYTES → false", "bytes <= LARGE_JSON_BYTES → bytes < LARGE_JSON_BYTES"],
  },
];
