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
    why: "a full bucket counts as an unknown one; the sweep only frees memory",
    file: "server/revocation/revocations.ts",
    changes: ["this.#reports.sweep(); → removed"],
  },
  {
    why: "a full bucket counts as an unknown one; the sweep only frees memory",
    file: "server/authn/node_recovery.ts",
    changes: ["this.#limit.sweep(); → removed", "this.#reports.sweep(); → removed"],
  },
  {
    why: "a full bucket counts as an unknown one; the sweep only frees memory",
    file: "server/authn/bootstrap_tokens.ts",
    changes: ["this.#uses.sweep(); → removed"],
  },
  {
    why: "a lookup in an empty map finds nothing",
    file: "server/authn/bootstrap_tokens.ts",
    changes: ["this.#secretNames.size === 0 → false"],
  },
  {
    why: "a Secret without open keys has nothing to add to the maps",
    file: "server/authn/bootstrap_tokens.ts",
    changes: ["keys.length === 0 → false"],
  },
  {
    why: "the authorizer also allows a superuser to escalate",
    file: "server/authz/escalation_check.ts",
    changes: ["user.groups.includes(MASTERS_GROUP) → false"],
  },
  {
    why: "the keys of a Map differ",
    file: "server/authz/impersonation.ts",
    changes: ["a < b → a <= b"],
  },
  {
    why: "the names of the bindings of a namespace differ",
    file: "server/authz/authorizer.ts",
    changes: ["getName(a) < getName(b) → getName(a) <= getName(b)"],
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
    why: "the keys differ, and decoding undefined gives an empty text",
    file: "core/token/token_secret.ts",
    changes: ["a < b → a <= b", "bytes === undefined → false"],
  },
  {
    why: "the condition only saves time",
    file: "core/revocation/crl_plan.ts",
    changes: ["unrecorded.length === 0 → false"],
  },
  {
    why: "no fingerprint, name or token id is empty or undefined, so a lookup finds nothing",
    file: "core/revocation/revocation_index.ts",
    changes: ['requester.certificateFingerprint === undefined && replaces === "" → false'],
  },
  {
    why: "a lookup in an empty map finds nothing; the condition only saves time",
    file: "core/revocation/revocation_index.ts",
    changes: [
      "this.size === 0 → false",
      "group.size > 0 → true",
      "group.size > 0 → group.size >= 0",
      "token.size === 0 → false",
    ],
  },
  {
    why: "a Revocation that was found by its node has a node",
    file: "core/revocation/revocation_index.ts",
    changes: ['node.spec.node ?? "" → node.spec.node'],
  },
  {
    why: "names without a domain are not restricted",
    file: "server/admission/node_restriction.ts",
    changes: ["slash < 0 → slash <= 0"],
  },
  {
    why: "the restricted namespace is below kubernetes.io and not one of kubelet's, so the next rule forbids it too",
    file: "server/admission/node_restriction.ts",
    changes: ["isWithin(namespace, RESTRICTED_NAMESPACE) → false"],
  },
  {
    why: "without plugins the index is not read; empty or stale sets count nothing and only use memory",
    file: "server/admission/certificates.ts",
    changes: [
      "maxOpenPerRequester === 0 && servedSigners === undefined → false",
      "this.#requesters.clear(); → removed",
      "this.#requesters.delete(name); → removed",
      "own?.size === 0 → false",
      "this.#open.delete(requester); → removed",
      "reserved?.size === 0 → false",
      "this.#reserved.delete(requester); → removed",
    ],
  },
  {
    why: "awaiting a value that is not a promise returns the value, a microtask later",
    file: "server/admission/admission.ts",
    changes: ["answer instanceof Promise → true"],
  },
  {
    why: "only a deletion has no object, and deletions are not checked",
    file: "server/revocation/revocations.ts",
    changes: ["object === undefined → false"],
  },
  {
    why: "a result without a user is not refused as revoked",
    file: "server/authn/authenticator.ts",
    changes: ['tried.kind === "user" → true'],
  },
  {
    why: "a second verification has the same result and only takes longer",
    file: "server/authn/authenticator.ts",
    changes: ["now >= cached.notBefore → now > cached.notBefore", "now <= cached.notAfter → now < cached.notAfter"],
  },
  {
    why: "the parser also rejects a text of another form",
    file: "server/authn/service_account_tokens.ts",
    changes: ["!hasJwtForm(token) → false"],
  },
  {
    why: "a token that its Secret refuses is refused before its limits are checked",
    file: "server/authn/authenticator.ts",
    changes: ["identity.ok → true"],
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
    why: "smaller values are within the limit too; the condition only saves a measurement",
    file: "server/storage/memory/journaled_storage.ts",
    changes: ["bytes <= LARGE_JSON_BYTES → false", "bytes <= LARGE_JSON_BYTES → bytes < LARGE_JSON_BYTES"],
  },
  {
    why: "both arrays have undefined after their end, and unused bits are shifted by 0; 80 is 2.0 by both formulas",
    file: "core/pki/asn1/der.ts",
    changes: ["at < a.length → at <= a.length", "unusedBits === 0 → false", "arc < 80 → arc <= 80"],
  },
  {
    why: "the hour 24 is the next day, whose date differs",
    file: "core/pki/asn1/der_text.ts",
    changes: ["hour < 24 → hour <= 24"],
  },
  {
    why: "a write after the end of the array does nothing; the cache only saves time",
    file: "core/pki/asn1/der_writer.ts",
    changes: ["at < text.length → at <= text.length", "OIDS.set(dotted, value); → removed"],
  },
  {
    why: "an offset of 0 was found before, no line break is at 0 or at these places, and slice() swaps no bounds",
    file: "core/pki/asn1/pem.ts",
    changes: [
      "offset > 0 → offset >= 0",
      "body >= text.length → false",
      "body >= text.length → body > text.length",
      "body > trailer → body >= trailer",
      "newline < 0 → newline <= 0",
      "newline > start → newline >= start",
      "last > start → last >= start",
    ],
  },
  {
    why: "one more turn encodes no entries",
    file: "core/pki/authority/crl.ts",
    changes: ["start < entries.length → start <= entries.length"],
  },
  {
    why: "these functions fail only for parameters that were refused before",
    file: "core/pki/keys/encrypted_key.ts",
    changes: ["error === null → true"],
  },
  {
    why: "key generation does not fail for these parameters",
    file: "core/pki/keys/keys.ts",
    changes: [
      "error === null || error === undefined → true",
      "error === undefined → error !== undefined",
      "reject(error); → removed",
    ],
  },
  {
    why: "these curves have a prime order, so no point has y = 0",
    file: "core/pki/keys/public_key.ts",
    changes: ["y < curve.p → y <= curve.p"],
  },
  {
    why: "the cache of keys only saves time, and the parser throws only DerError",
    file: "core/pki/keys/signature.ts",
    changes: [
      "known !== undefined → false",
      "keepKey → true",
      "keepKey → false",
      "keptKeys.set(key, imported); → removed",
      "error instanceof DerError → true",
    ],
  },
  {
    why: "an empty authority has no fault, and is written back as it was; an empty user has no bad character",
    file: "core/pki/x509/name_syntax.ts",
    changes: [
      'scheme !== "" → scheme === ""',
      "!hasAuthority → false",
      "slash < 0 → slash <= 0",
      "hasAuthority → true",
      "at >= 0 → at > 0",
    ],
  },
  {
    why: "plain values, which nothing escapes, only save time",
    file: "core/pki/x509/names.ts",
    changes: ["PLAIN.test(raw) → false", "PLAIN.test(value) → false"],
  },
  {
    why: "the parser throws only DerError",
    file: "core/pki/x509/pkcs10.ts",
    changes: ["error instanceof DerError → true"],
  },
  {
    why: "HTTP/2 itself waits for secureConnect; an ended stream drops what is written to it, and ends only once",
    file: "server/storage/etcd/grpc.ts",
    changes: [
      "secureContext === undefined → true",
      'session.on("error", () => undefined); → removed',
      "!this.#isFinished → true",
      "error !== undefined → true",
    ],
  },
  {
    why: "the conditions only save copies",
    file: "server/storage/etcd/grpc.ts",
    changes: ["this.#receivedBytes < this.#wantedBytes → false", "this.#received.length === 1 → false"],
  },
  {
    why: "a revision that the mirror has already is deleted below, and a stopped watch delivers nothing",
    file: "server/storage/etcd/mirror.ts",
    changes: [
      "this.#engine.revision < revision → true",
      "this.#engine.revision < revision → this.#engine.revision <= revision",
      "this.#closed || this.#isReloading → false",
      "this.#closed || this.#isReloading → this.#closed && this.#isReloading",
    ],
  },
  {
    why: "the filter then returns the same events; the condition only saves a copy",
    file: "server/storage/follow.ts",
    changes: ["first.revision > watcher.afterRevision → false"],
  },
  {
    why: "slots that the hand has passed are not read again; the mutants only change when they are freed",
    file: "server/storage/stored.ts",
    changes: [
      "this.#next * 2 <= this.#queue.length → true",
      "this.#next * 2 <= this.#queue.length → false",
      "this.#next * 2 <= this.#queue.length → this.#next * 2 < this.#queue.length",
    ],
  },
  {
    why: "one write has no second key; the condition only saves a set",
    file: "server/storage/transaction.ts",
    changes: ["writes.length < 2 → false"],
  },
  {
    why: "chunks of any length have the same keys in the same order, and later ones have none of the prefix",
    file: "server/storage/memory/engine.ts",
    changes: [
      "entries.length > MAX_CHUNK → false",
      "entries.length > MAX_CHUNK → entries.length >= MAX_CHUNK",
      "this.#chunks.splice(chunk + 1, 0, entries.splice(entries.length >> 1)); → removed",
      "compareBytes(fromKey, prefix) < 0 → compareBytes(fromKey, prefix) <= 0",
      "end < entries.length → false",
      "last === undefined || last.key.startsWith(prefix) → false",
    ],
  },
  {
    why: "a closed store makes no commit, and a second request for one returns the first",
    file: "server/storage/memory/journaled_storage.ts",
    changes: ["this.#watchers.stopAll(); → removed", "this.#running === undefined → true"],
  },
];
