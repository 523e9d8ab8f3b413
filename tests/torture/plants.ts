/**
 * Bugs that are planted to show that the checks find them. Each is a change of source text that only a test build
 * applies. `deno task torture --plant NAME` runs the finder of a bug, which must report it (`plant_runs.ts`).
 */
import { UsageError } from "../support/command_line.ts";

/** A text that occurs exactly once in a source file, and its replacement. */
export interface Patch {
  /** The path of the file from the root of the checkout. */
  readonly file: string;
  readonly before: string;
  readonly after: string;
}

/** A bug, and the run that finds it. */
export interface Plant {
  readonly name: string;
  /** What a user would lose through the bug. */
  readonly harm: string;
  readonly patches: readonly Patch[];
  readonly finder: Finder;
  /** Matches the finding that reports this bug. */
  readonly fault: RegExp;
}

/** A run that ends with exit code 1 when it finds a bug. */
export interface Finder {
  /** The task of `deno.json` that is run. */
  readonly task: "torture" | "simulate" | "test";
  readonly flags: readonly string[];
}

/** One server on SQLite that is killed repeatedly. */
const LONE: Finder = { task: "torture", flags: ["--kills", "4", "--nodes", "8", "--seed", "22"] };
/** One server that loses power at many places of what it writes. */
const POWERLESS_SERVER: Finder = {
  task: "torture",
  flags: ["--power-loss", "--scene", "server", "--states", "300", "--starts", "2", "--seed", "22"],
};
/** Nodes in simulated time, whose server is down for 100 seconds in every five minutes. */
const SIMULATED: Finder = {
  task: "simulate",
  flags: ["--replay", "tests/simulation/short_absences.json", "--shrink", "0"],
};
/** Clients of one server in simulated time, for longer than a server keeps history. */
const SIMULATED_HISTORY: Finder = {
  task: "simulate",
  flags: ["--nodes", "1", "--clients", "6", "--hours", "3", "--seed", "22", "--shrink", "0", "--check-history"],
};
/** Clients of two servers on an etcd of three members in simulated time, with 12 faults, including compactions. */
const SIMULATED_SERVERS: Finder = {
  task: "simulate",
  flags: [
    ...["--servers", "2", "--nodes", "1", "--clients", "6", "--hours", "1", "--faults", "12"],
    ...["--seed", "1", "--shrink", "0", "--check-history"],
  ],
};
/** Credentials of one server that are revoked in simulated time and used again at once. */
const SIMULATED_REVOCATIONS: Finder = {
  task: "simulate",
  flags: ["--nodes", "1", "--revokers", "2", "--hours", "2", "--seed", "22", "--shrink", "0"],
};

/** Credentials that are revoked in simulated time, with 30 faults of the server, the node and the clients. */
const SIMULATED_FAULTS: Finder = {
  task: "simulate",
  flags: [
    ...["--nodes", "1", "--clients", "3", "--revokers", "1", "--hours", "1", "--lifetime", "1", "--faults", "30"],
    ...["--seed", "1", "--shrink", "0"],
  ],
};

/** One server on SQLite that is killed until a kill at the right moment exposes the bug. */
const OFTEN_KILLED: Finder = { task: "torture", flags: ["--kills", "20", "--nodes", "8", "--seed", "22"] };

/** Three servers on an etcd of three members, with network partitions. */
const PARTED: Finder = {
  task: "torture",
  flags: ["--servers", "3", "--faults", "partition", "--seconds", "30", "--nodes", "4", "--seed", "22"],
};
/** Three servers on an etcd of three members, with pauses of servers and members. */
const PAUSED: Finder = {
  task: "torture",
  flags: ["--servers", "3", "--faults", "pause", "--seconds", "60", "--nodes", "4", "--seed", "25"],
};
/** Machines whose proofs a thief forges, relays, or uses for another name. */
const THIEF: Finder = { task: "test", flags: ["security/attestation"] };

export const PLANTS: readonly Plant[] = [
  {
    name: "write-behind",
    harm: "writes that were acknowledged in the last moments before a crash",
    patches: [{
      file: "server/storage/memory/journaled_storage.ts",
      before: `    try {
      await journal.commit(changes, compaction);
    } catch (error) {
      this.#refuseUncommitted(error);
      return;
    }
`,
      after: `    setTimeout(() => void journal.commit(changes, compaction), 20);
`,
    }],
    finder: OFTEN_KILLED,
    fault: /^the database ends at revision \d+, but \d+ was shown$/,
  },
  {
    name: "lost-event-at-resume",
    harm: "one change for each client that connects again",
    patches: [{
      file: "server/storage/follow.ts",
      before: "missed.filter((event) => event.key.startsWith(prefix)));",
      after: "missed.filter((event) => event.key.startsWith(prefix)).slice(1));",
    }],
    finder: LONE,
    fault: /^(?:reliable|resumable): .*was missed$/,
  },
  {
    name: "revision-twice",
    harm: "a change that has the resourceVersion of another change",
    patches: [
      {
        file: "server/storage/memory/journaled_storage.ts",
        before: "    this.#lastNumber += events.length;\n",
        after: "    this.#lastNumber += 1;\n",
      },
      {
        file: "server/storage/sqlite/journal.ts",
        before: '"INSERT INTO changes',
        after: '"INSERT OR REPLACE INTO changes',
      },
    ],
    finder: LONE,
    fault: /^unique: |had been seen$|as it was at revision \d+, but it was written at revision \d+$/,
  },
  {
    name: "bookmark-too-early",
    harm: "a change for each client that resumes after a bookmark",
    patches: [{
      file: "server/registry/watch.ts",
      before: "return this.#ended ? this.#pushed : Math.max(this.#pushed, this.#storage.revision());",
      after: "return this.#ended ? this.#pushed : Math.max(this.#pushed, this.#storage.revision()) + 1;",
    }],
    finder: SIMULATED_HISTORY,
    fault: /^bookmarkable: |^(?:reliable|resumable): .*was missed$/,
  },
  {
    name: "precondition-ignored",
    harm: "a write of another client: an update that is based on an old state replaces it",
    patches: [{
      file: "server/registry/update.ts",
      before: "if (Number(sent) !== stored.revision) throw",
      after: "if (Number(sent) > stored.revision) throw",
    }],
    finder: LONE,
    fault: /^linearizable: /,
  },
  {
    name: "delete-precondition-ignored",
    harm: "an object that was created again: it is deleted in place of the earlier one",
    patches: [{
      file: "server/registry/delete.ts",
      before: "if (uid !== undefined && uid !== record.uid) {",
      after: 'if (uid === "") {',
    }],
    finder: LONE,
    fault: /^linearizable: /,
  },
  {
    name: "continue-at-the-newest",
    harm: "the consistency of a list in pages: its pages show different revisions",
    patches: [{
      file: "server/registry/read.ts",
      before: "revision: token.revision < 0 ? undefined : token.revision,",
      after: "revision: undefined,",
    }],
    finder: LONE,
    fault: /^reads at a revision: .*: the pages of a list are of revisions \d+ and \d+$/,
  },
  {
    name: "exact-is-the-newest",
    harm: "the state at a revision: a different state is shown",
    patches: [{
      file: "server/registry/read.ts",
      before: "return { revision: isExact ? revision : undefined,",
      after: "return { revision: undefined,",
    }],
    finder: LONE,
    fault: /^reads at a revision: .* match=Exact\b.*: shows revision \d+$/,
  },
  {
    name: "namespace-prefix",
    harm: "the separation of namespaces: a list or a watch also shows a namespace whose name begins with the same text",
    patches: [
      {
        file: "server/registry/registry.ts",
        before: 'return resource.kind.namespaced && namespace !== "" ? `${root}${namespace}/` : root;',
        after: 'return resource.kind.namespaced && namespace !== "" ? `${root}${namespace}` : root;',
      },
      {
        file: "server/registry/registry.ts",
        before: "return `${toKeyPrefix(resource, namespace)}${name}`;",
        after: 'return `${toKeyPrefix(resource, namespace).replace(/\\/?$/, "/")}${name}`;',
      },
    ],
    finder: LONE,
    fault: /^filtered: .*: shows a-b\/\S+, which is not selected$/,
  },
  {
    name: "selector-edge-missed",
    harm: "the event for an object that no longer matches a selector",
    patches: [{
      file: "server/registry/watch.ts",
      before: "  if (!matched) return undefined;\n",
      after: "  if (!matched || current !== undefined) return undefined;\n",
    }],
    finder: LONE,
    fault: /^(?:reliable|resumable): .* labels=.* \(DELETED of \S+\) was missed$/,
  },
  {
    name: "initial-events-cut",
    harm: "an object that existed before a watch began",
    patches: [{
      file: "server/registry/watch.ts",
      before: "queue.begin(list.items.map(",
      after: "queue.begin(list.items.slice(1).map(",
    }],
    finder: LONE,
    fault: /^reads at a revision: .* match=NotOlderThan\b.*: revision \d+ lacks \S/,
  },
  {
    name: "history-cut-short",
    harm: "the place of a client in a watch or a list: away for more than four minutes, it has to list again",
    patches: [{
      file: "server/storage/memory/journaled_storage.ts",
      before: "{ historyMs: 5 * 60_000,",
      after: "{ historyMs: 4 * 60_000,",
    }],
    finder: SIMULATED_HISTORY,
    fault: /^410 only when older than what is kept: .* was refused as too old$/,
  },
  {
    name: "certificate-twice",
    harm: "the only certificate of a request: a second one replaces it",
    patches: [
      {
        file: "controllers/signer/signer.ts",
        before: "profiles.has(csr.spec.signerName) && !hasCertificate(csr) && isApproved(csr)",
        after: "profiles.has(csr.spec.signerName) && isApproved(csr)",
      },
      {
        file: "core/request/validate.ts",
        before: '  if (getCertificate(old) === "") return [];\n',
        after: '  if (endpoint === "status") return [];\n',
      },
    ],
    finder: LONE,
    fault: /: was signed twice, two different certificates were shown$|^request \S+: has the records /,
  },
  {
    name: "certificate-without-approval",
    harm: "the decision about a certificate: a pending request gets one",
    patches: [{
      file: "controllers/signer/signer.ts",
      before: "&& isApproved(csr) && !isFailed(csr)",
      after: "&& !isFailed(csr)",
    }],
    finder: LONE,
    fault: /has a certificate, and was not approved$/,
  },
  {
    name: "approval-of-another-request",
    harm: "the decision about a certificate: another request of the same name is approved",
    patches: [
      {
        file: "server/registry/update.ts",
        before: "if (Number(sent) !== stored.revision) throw",
        after: 'if (target.subresource !== "approval" && Number(sent) !== stored.revision) throw',
      },
      {
        file: "server/registry/update.ts",
        before: 'if (sent === "" || sent === kept) return;',
        after: 'if (sent === "" || sent === kept || target.subresource === "approval") return;',
      },
      {
        file: "server/registry/update.ts",
        before: "uid: object.metadata.uid ?? old.metadata.uid,",
        after: 'uid: target.subresource === "approval" ? old.metadata.uid : object.metadata.uid ?? old.metadata.uid,',
      },
    ],
    finder: OFTEN_KILLED,
    fault: /was Approved in the place of |was Denied in the place of /,
  },
  {
    name: "serial-number-twice",
    harm: "the revocation of a single certificate: another one has the same serial number",
    patches: [{
      file: "controllers/signer/signer.ts",
      before: "deps.random.bytes(SERIAL_BYTES)",
      after: "new Uint8Array(SERIAL_BYTES).fill(1)",
    }],
    finder: LONE,
    fault: /^serial number [0-9a-f]+ has the records/,
  },
  {
    name: "certificate-without-record",
    harm: "the record of an issued certificate",
    patches: [{
      file: "server/register/register.ts",
      before: "const changes = csr === undefined || leaf === undefined\n",
      after: "const changes = csr === undefined || leaf !== null\n",
    }],
    finder: LONE,
    fault: /certificate has no record$/,
  },
  {
    name: "broken-chain",
    harm: "the proof that no record of the register was removed or changed",
    patches: [{
      file: "server/register/register.ts",
      before: "const previousHash = last === undefined ? head?.hash : hashRecord(last);",
      after: "const previousHash = last === undefined ? undefined : hashRecord(last);",
    }],
    finder: LONE,
    fault: /^record \S+ was changed: its hash is not the one that the records around it hold$/,
  },
  {
    name: "revocation-forgotten-at-restart",
    harm: "every revocation, with the next start of the server",
    patches: [{
      file: "server/revocation/revocations.ts",
      before: "        this.index.put(revoked);",
      after: "        if (change !== undefined) this.index.put(revoked);",
    }],
    finder: SIMULATED_FAULTS,
    fault: /^\S.*, revoked by its \w+, was accepted as /,
  },
  {
    name: "revocation-acknowledged-early",
    harm: "the moment of a revocation: a credential is accepted shortly after the acknowledgement",
    patches: [{
      file: "server/revocation/revocations.ts",
      before: "        this.index.put(revoked);",
      after: `        const put = () => {
          this.index.put(revoked);
          for (const listener of this.#listeners) listener();
        };
        if (change === undefined) put();
        else setTimeout(put, 5);`,
    }],
    finder: SIMULATED_REVOCATIONS,
    fault:
      /^the (?:certificate|bootstrap token) of \S+, revoked by its \w+, was accepted as \S+, over the earlier connection$/,
  },
  {
    name: "revoked-connection-stays",
    harm: "the end of the watches of a stolen credential: they continue until they end by themselves",
    patches: [{
      file: "server/authn/reauthentication.ts",
      before: "if (open.delete(stream)) stream.end();",
      after: "open.delete(stream);",
    }],
    finder: SIMULATED_FAULTS,
    fault: /^the watch with .* is open \d+ ms after the acknowledgement$/,
  },
  {
    name: "no-sync",
    harm: "writes that were acknowledged before the power failed",
    patches: [{
      file: "server/storage/sqlite/journal.ts",
      before: "      await this.#file.sync();\n",
      after: "      await Promise.resolve();\n",
    }],
    finder: POWERLESS_SERVER,
    fault: /^! server at change .* is lost, which was acknowledged$/,
  },
  {
    name: "renewal-too-late",
    harm: "access: a machine has an expired certificate for part of the time",
    patches: [{
      file: "core/machine/renewal_schedule.ts",
      before: "(0.7 + 0.2 * random())",
      after: "(0.95 + 0.05 * random())",
    }],
    finder: SIMULATED,
    fault: /^the certificate of node-\d+ had expired when it was replaced$/,
  },
  {
    name: "stale-mirror-read",
    harm: "the newest state: a server shows the state before writes that another server has acknowledged",
    patches: [{
      file: "server/storage/etcd/storage.ts",
      before: "    await this.#parts.mirror.reach(revision, true);\n    this.#currentAtMs",
      after: "    if (revision < 0) return;\n    this.#currentAtMs",
    }],
    finder: PARTED,
    // Revocations are read from the mirror too.
    fault: /^linearizable: |^the certificate of \S+, revoked by its \w+, was accepted as /,
  },
  {
    name: "unknown-write-repeated",
    harm: "the true outcome of a write: it is refused as a conflict with itself",
    patches: [
      {
        file: "server/storage/etcd/client.ts",
        before: '() => this.#callOnce("/etcdserverpb.KV/Txn", message, WRITE_TIMEOUT_MS),',
        after: '() => this.#callOnce("/etcdserverpb.KV/Txn", message, isContent(writes) ? 3 : WRITE_TIMEOUT_MS),',
      },
      {
        file: "server/storage/etcd/client.ts",
        before: "function toReadOperation(",
        after: `function isContent([write]: readonly GuardedWrite[]): boolean {
  return write?.key.includes("/configmaps/a/shared-") === true;
}

function toReadOperation(`,
      },
      {
        file: "server/storage/etcd/client.ts",
        before: "return await this.#call(index, path, message, timeoutMs);",
        after: "return await this.#call(index, path, message, attempt === 1 ? timeoutMs : WRITE_TIMEOUT_MS);",
      },
      {
        file: "server/storage/etcd/client.ts",
        before: "if (!(error instanceof GrpcError && error.isUnsent) || attempt",
        after: "if (!isUnanswered(error) || attempt",
      },
    ],
    finder: PARTED,
    fault: /^nothing else: .*(?:was refused with|written twice)|^linearizable: /,
  },
  {
    name: "lease-kept-after-pause",
    harm: "the single writer: two servers approve, sign and clean at the same time",
    patches: [{
      file: "controllers/engine/leader_election.ts",
      before: "{ lease: leaseName });\n        return;\n",
      after: "{ lease: leaseName });\n",
    }],
    finder: PAUSED,
    fault: /^two servers run the controllers/,
  },
  {
    name: "gap-at-etcd-resume",
    harm: "one change for all clients of a server that has lost its connection to etcd",
    patches: [{
      file: "server/storage/etcd/mirror.ts",
      before: "      this.#engine.revision + 1,\n",
      after: '      this.#engine.revision + (this.#lastFault === "" ? 1 : 2),\n',
    }],
    finder: SIMULATED_SERVERS,
    fault: /^(?:reliable|resumable|bookmarkable): .*was missed$|^reads at a revision: /,
  },
  {
    name: "compacted-revision-served",
    harm: "the changes that etcd has compacted: a client that requests them gets later ones without an error",
    patches: [{
      file: "server/storage/memory/engine.ts",
      before: "    if (revision < this.compactedRevision) throw",
      after: "    if (revision < 0) throw",
    }],
    finder: SIMULATED_SERVERS,
    fault: /^(?:reliable|resumable|bookmarkable): .*was missed$|^reads at a revision: /,
  },
  {
    name: "attestation-key-unrestricted",
    harm: "trust in the quote of a TPM: a key that signs anything shows the PCRs that the inventory lists",
    patches: [{
      file: "core/attestation/tpm_proof.ts",
      before: '"sensitiveDataOrigin", "restricted", "sign"] as const;',
      after: '"sensitiveDataOrigin", "sign"] as const;',
    }],
    finder: THIEF,
    fault: /a TPM key that is not restricted proves nothing/,
  },
  {
    name: "proof-for-another-key",
    harm: "the binding of a proof to one key: a thief gets a token for their own key",
    patches: [
      {
        file: "core/attestation/exchange.ts",
        before: "if (state.value.key !== key) return",
        after: 'if (state.value.key === "") return',
      },
      {
        file: "core/attestation/exchange.ts",
        before: "const message = createProofMessage({ caHash, node, key, challenge });",
        after: "const message = createProofMessage({ caHash, node, key: state.value.key, challenge });",
      },
    ],
    finder: THIEF,
    fault: /gives a token for its own key, and none for an attacker's key/,
  },
  {
    name: "state-without-name",
    harm: "the binding of an exchange to one machine: it begins for one and ends with a token for another",
    patches: [
      {
        file: "core/attestation/exchange.ts",
        before: "    node,\n    key,\n    caHash,\n",
        after: '    node: "" as NodeName,\n    key,\n    caHash,\n',
      },
      {
        file: "core/attestation/exchange.ts",
        before: "if (state.value.node !== node) return",
        after: 'if (!["" as NodeName, node].includes(state.value.node)) return',
      },
    ],
    finder: THIEF,
    fault: /an exchange gives a token only for the name with which it began/,
  },
];

/** The environment variable with the name of the bug that tests load (`planted_sources.ts`). */
export const PLANT_VARIABLE = "TLSBOOT_TEST_PLANT";

/** Finds plants by names separated by commas, or all for `all`. Throws a UsageError for an unknown name. */
export function findPlants(names: string): readonly Plant[] {
  if (names === "all") return PLANTS;
  return names.split(",").map((name) => {
    const found = PLANTS.find((plant) => plant.name === name);
    if (found === undefined) {
      const known = PLANTS.map((plant) => plant.name).join(", ");
      throw new UsageError(`no bug is called ${JSON.stringify(name)}; there are ${known}`);
    }
    return found;
  });
}

/** Returns the command line that runs a finder. */
export function toCommand({ task, flags }: Finder): string {
  return ["deno task", task, ...flags].join(" ");
}

/** Applies the patches of a file to its text. Throws an Error unless each replaced text occurs exactly once. */
export function applyPatches(file: string, text: string, patches: readonly Patch[]): string {
  let patched = text;
  for (const { before, after } of patches.filter((patch) => patch.file === file)) {
    const occurrences = patched.split(before).length - 1;
    if (occurrences !== 1) {
      throw new Error(`${file} has ${occurrences} times, not once, the text that a plant replaces:\n${before}`);
    }
    patched = patched.replace(before, () => after);
  }
  return patched;
}
