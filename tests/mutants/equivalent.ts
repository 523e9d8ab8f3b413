/**
 * Mutants without an observable effect, which do not count as survivors. A mutant is identified by its file and by the
 * text that `deno task mutants` prints, so it may move within its file.
 */
export interface Equivalent {
  readonly why: string;
  readonly file: string;
  /** The mutants, each as `original → mutated`. */
  readonly changes: readonly string[];
}

export const EQUIVALENT: readonly Equivalent[] = [
  {
    why: "the parser throws on undefined, which is caught two lines below with the same result",
    file: "core/service_accounts/jwt.ts",
    changes: ["bytes === undefined → false"],
  },
  {
    why: "JSON.stringify omits undefined members too",
    file: "core/service_accounts/jwt.ts",
    changes: ["Object.entries(value).filter(([, item]) => item !== undefined) → without filter"],
  },
  {
    why: "the names of an object's members differ",
    file: "core/service_accounts/jwt.ts",
    changes: ["a < b → a <= b"],
  },
  {
    why: "the parser also rejects a block with another label, and only ECDSA keys have a named curve",
    file: "core/service_accounts/jwt.ts",
    changes: ['"PRIVATE KEY" → ""', 'family === "ECDSA" → true'],
  },
  {
    why: "each record is checked again before it is written, and writing no record does nothing",
    file: "server/revocation/record_marks.ts",
    changes: [
      'page.items.filter((stored) => findMark(revocations, stored.object as IssuedCertificate) !== "unchan… → without filter',
      "start < stale.length → start <= stale.length",
    ],
  },
  {
    why: "no user without a name has a token, and every Revocation has a target",
    file: "server/revocation/revocations.ts",
    changes: [
      'csr.spec.username ?? "" → csr.spec.username',
      'findRevocationTarget(revoked.spec)?.kind ?? "" → findRevocationTarget(revoked.spec)?.kind',
    ],
  },
  {
    why: "a full bucket counts as an unknown one; the sweep only frees memory",
    file: "server/revocation/revocations.ts",
    changes: ["this.#reports.sweep(); → removed"],
  },
  {
    why: "a comparison with NaN or undefined is false, as for a time that is known to be long ago",
    file: "server/authn/seen_clients.ts",
    changes: [
      "reported.get(key) ?? -Infinity → reported.get(key)",
      'before?.status.lastSeen ?? "" → before?.status.lastSeen',
    ],
  },
  {
    why: "every rotation in the store has the time when it began",
    file: "server/authn/seen_clients.ts",
    changes: ['status.beganAt ?? "" → status.beganAt'],
  },
  {
    why: "a full bucket counts as an unknown one; the sweep only frees memory",
    file: "server/authn/node_recovery.ts",
    changes: ["this.#limit.sweep(); → removed", "this.#reports.sweep(); → removed"],
  },
  {
    why: "no record has the sequence number undefined",
    file: "server/authn/node_recovery.ts",
    changes: ["sequence === undefined → false"],
  },
  {
    why: "a full bucket counts as an unknown one; the sweep only frees memory",
    file: "server/authn/bootstrap_tokens.ts",
    changes: ["this.#uses.sweep(); → removed"],
  },
  {
    why: "a comparison with NaN is false, as with a time that is long ago",
    file: "server/authn/bootstrap_tokens.ts",
    changes: [
      "readTokenUse(secret).lastUse?.at.getTime() ?? 0 → readTokenUse(secret).lastUse?.at.getTime()",
      "readTokenUse(secret).lastRefusal?.at.getTime() ?? 0 → readTokenUse(secret).lastRefusal?.at.getTime()",
    ],
  },
  {
    why: "there is no token with the id undefined, and a lookup in an empty map finds nothing",
    file: "server/authn/bootstrap_tokens.ts",
    changes: ["tokenId === undefined → false", "this.#secretNames.size === 0 → false"],
  },
  {
    why: "a Secret without open keys has nothing to add to the maps, and a pin that is computed again is the same",
    file: "server/authn/bootstrap_tokens.ts",
    changes: ["keys.length === 0 → false", "pin === undefined → true"],
  },
  {
    why: "a list of one error has a first error",
    file: "server/authz/authorizer.ts",
    changes: ['errors[0] ?? "" → errors[0]'],
  },
  {
    why: "the authorizer also allows a superuser to escalate",
    file: "server/authz/escalation_check.ts",
    changes: ["user.groups.includes(MASTERS_GROUP) → false"],
  },
  {
    why: "no RoleBinding is in the namespace undefined or in the empty one",
    file: "server/authz/escalation_check.ts",
    changes: [
      'role.metadata.namespace ?? "" → role.metadata.namespace',
      'binding.metadata.namespace ?? "" → binding.metadata.namespace',
    ],
  },
  {
    why: "the keys of a Map differ, and one that is too large has a first key",
    file: "server/authz/impersonation.ts",
    changes: ["a < b → a <= b", "oldest !== undefined → true"],
  },
  {
    why: "a path has no resource, so no rule applies",
    file: "server/authz/authorizer.ts",
    changes: ['attributes.kind === "resource" → true'],
  },
  {
    why: "the names of the bindings of a namespace differ",
    file: "server/authz/authorizer.ts",
    changes: ["getName(a) < getName(b) → getName(a) <= getName(b)"],
  },
  {
    why: "the cached values of an unchanged object are the same when they are computed again",
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
    why: "a limited token has annotations",
    file: "core/token/bound_token.ts",
    changes: ["annotations ?? {} → annotations"],
  },
  {
    why: "the pattern matches with all of its groups or not at all",
    file: "core/token/token_secret.ts",
    changes: ["id === undefined || secret === undefined → id === undefined && secret === undefined"],
  },
  {
    why: "the pattern matches with all of its groups or not at all, and without a match the date is invalid",
    file: "core/token/token_secret.ts",
    changes: [
      "day === undefined || time === undefined || zone === undefined → false",
      "day === undefined || time === undefined || zone === undefined → day === undefined || time === undefined && zone === undefined",
      "day === undefined || time === undefined → day === undefined && time === undefined",
    ],
  },
  {
    why: "the cached values of an unchanged object are the same when they are computed again",
    file: "core/token/token_secret.ts",
    changes: [
      "known === undefined → true",
      "text === undefined → true",
      "expiration === undefined → true",
      "groups === undefined → true",
    ],
  },
  {
    why: "the keys differ; a Secret with an id has data; an error has no value; decoding undefined gives an empty text",
    file: "core/token/token_secret.ts",
    changes: [
      "a < b → a <= b",
      "secret.data ?? {} → secret.data",
      "token.ok → true",
      "bytes === undefined → false",
    ],
  },
  {
    why: "a function that ends without a return returns undefined too",
    file: "core/token/token_secret.ts",
    changes: ['"never" → ""'],
  },
  {
    why: "a certificate of another CA is in the register, so the last filter removes it; the condition only saves time",
    file: "core/revocation/crl_plan.ts",
    changes: ["one.issuerFingerprint === undefined → true", "unrecorded.length === 0 → false"],
  },
  {
    why: "no fingerprint, name or token id is empty or undefined, so a lookup finds nothing",
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
    why: "a lookup in an empty map finds nothing; the condition only saves time",
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
    why: "a Revocation that was found by its node has a node, and a stored Revocation has a time",
    file: "core/revocation/revocation_index.ts",
    changes: [
      'node.spec.node ?? "" → node.spec.node',
      'revoked.spec.node ?? "" → revoked.spec.node',
      "notBefore ?? 0 → notBefore",
      "status.time ?? metadata.creationTimestamp ?? 0 → status.time ?? metadata.creationTimestamp",
    ],
  },
  {
    why: "sequence numbers begin at 1, and a comparison with undefined is false",
    file: "core/revocation/revocation_index.ts",
    changes: ["status.lastSequence ?? 0 → status.lastSequence"],
  },
  {
    why: "a function that ends without a return returns undefined too, and names without a domain are not restricted",
    file: "server/admission/node_restriction.ts",
    changes: ['"admit" → ""', "slash < 0 → slash <= 0"],
  },
  {
    why: "the restricted namespace is below kubernetes.io and not one of kubelet's, so the next rule forbids it too",
    file: "server/admission/node_restriction.ts",
    changes: ["isWithin(namespace, RESTRICTED_NAMESPACE) → false"],
  },
  {
    why: "an object without a spec has no entries, and JSON has no undefined members",
    file: "server/admission/node_restriction.ts",
    changes: ['"spec" in object → true'],
  },
  {
    why: "without plugins the index is not read; empty or stale sets count nothing and only use memory",
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
    why: "awaiting a value that is not a promise returns the value, a microtask later",
    file: "server/admission/admission.ts",
    changes: ["answer instanceof Promise → true"],
  },
  {
    why: "only a deletion has no object, and only a creation has no old one",
    file: "server/admission/node_restriction.ts",
    changes: ['operation === "DELETE" || object === undefined → operation === "DELETE" && object === undefined'],
  },
  {
    why: "only a deletion has no object, and deletions are not checked",
    file: "server/revocation/revocations.ts",
    changes: ["object === undefined → false"],
  },
  {
    why: "a failed certificate was presented, and a result without a user is not refused as revoked",
    file: "server/authn/authenticator.ts",
    changes: [
      'presented.kind === "failed" && peerCertificate !== undefined → presented.kind === "failed" || peerCertificate !== undefined',
      'tried.kind === "user" → true',
    ],
  },
  {
    why: "a second verification has the same result and only takes longer",
    file: "server/authn/authenticator.ts",
    changes: [
      "now >= cached.notBefore → now > cached.notBefore",
      "now <= cached.notAfter → now < cached.notAfter",
    ],
  },
  {
    why: "the parser also rejects a text of another form, and a missing token has no issuer",
    file: "server/authn/service_account_tokens.ts",
    changes: [
      "!hasJwtForm(token) → false",
      'jwt === undefined || typeof issuer !== "string" → jwt === undefined && typeof issuer !== "string"',
    ],
  },
  {
    why: "a token that its Secret refuses is refused before its limits are checked",
    file: "server/authn/authenticator.ts",
    changes: ["identity.ok → true"],
  },
  {
    why: "an absent option is false",
    file: "core/signing/profile.ts",
    changes: ["input.allowMlDsa ?? false → input.allowMlDsa"],
  },
  {
    why: "a rule for RSA or ECDSA has a default minimum size",
    file: "core/signing/profile_spec.ts",
    changes: ["minBits ?? least → minBits"],
  },
  {
    why: "the cached past states are the same when they are computed again, and only use memory",
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
    why: "the mutants only change when dropped changes are freed: those before the head are not read",
    file: "server/storage/memory/engine.ts",
    changes: [
      "this.#entries.fill(undefined, this.#head, this.#head + count); → removed",
      "this.#head * 2 < this.#entries.length → true",
      "this.#head * 2 < this.#entries.length → false",
      "this.#head * 2 < this.#entries.length → this.#head * 2 <= this.#entries.length",
    ],
  },
  {
    why: "another kind of error has no status, and undefined is not in the set",
    file: "server/storage/etcd/errors.ts",
    changes: ["error instanceof GrpcError → true"],
  },
  {
    why: "smaller values are within the limit too; the condition only saves a measurement",
    file: "server/storage/memory/journaled_storage.ts",
    changes: ["bytes <= LARGE_JSON_BYTES → false", "bytes <= LARGE_JSON_BYTES → bytes < LARGE_JSON_BYTES"],
  },
];
