/**
 * Mutants that change nothing anybody could observe, each with the reason. They do not count as survivors. A place is
 * named by its file and the texts that `deno task mutants` prints, so that it may move within its file.
 */
export interface Equivalent {
  readonly why: string;
  readonly file: string;
  /** Each as `original → mutated`. */
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
    file: "core/service_accounts/keys.ts",
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
    file: "server/authz/node_authorizer.ts",
    changes: ['attributes.kind === "resource" → true'],
  },
  {
    why: "the names of the bindings of a namespace differ",
    file: "server/authz/rbac_source.ts",
    changes: ["getName(a) < getName(b) → getName(a) <= getName(b)"],
  },
  {
    why: "what is remembered about an object that does not change is the same when it is computed again",
    file: "core/bootstrap/bound_token.ts",
    changes: ["limits === undefined → true"],
  },
  {
    why: "the parser finds nothing in undefined either",
    file: "core/bootstrap/bound_token.ts",
    changes: [
      'annotations[RECORDS.createdAt] ?? metadata.creationTimestamp ?? "" → annotations[RECORDS.createdAt] ?? metadata.creationTimestamp',
      'text ?? "" → text',
    ],
  },
  {
    why: "a limited token has annotations, and their names differ",
    file: "core/bootstrap/bound_token.ts",
    changes: ["annotations ?? {} → annotations", "a < b → a <= b"],
  },
  {
    why: "no annotation is undefined, and JSON has none that is",
    file: "core/bootstrap/bound_token.ts",
    changes: ["value === undefined → false"],
  },
  {
    why: "the pattern matches with all of its groups or not at all",
    file: "core/bootstrap/token.ts",
    changes: ["id === undefined || secret === undefined → id === undefined && secret === undefined"],
  },
  {
    why: "the pattern matches with all of its groups or not at all; without a match the day is not that of any date",
    file: "core/bootstrap/token_secret.ts",
    changes: [
      "day === undefined || time === undefined || zone === undefined → false",
      "day === undefined || time === undefined || zone === undefined → day === undefined || time === undefined && zone === undefined",
      "day === undefined || time === undefined → day === undefined && time === undefined",
    ],
  },
  {
    why: "what is remembered about an object that does not change is the same when it is computed again",
    file: "core/bootstrap/token_secret.ts",
    changes: [
      "known === undefined → true",
      "text === undefined → true",
      "expiration === undefined → true",
      "groups === undefined → true",
    ],
  },
  {
    why: "the keys differ; a Secret with an id has data; an error has no value; no bytes decode as no text",
    file: "core/bootstrap/token_secret.ts",
    changes: [
      "a < b → a <= b",
      "secret.data ?? {} → secret.data",
      "token.ok → true",
      "bytes === undefined → false",
    ],
  },
  {
    why: "a function that ends without a return returns undefined, too",
    file: "core/bootstrap/token_secret.ts",
    changes: ['"never" → ""'],
  },
];
