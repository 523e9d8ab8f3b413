/** Generates query parameters and headers, valid and invalid. */
import type { Random } from "../../../core/ports.ts";
import { below, oneIn, pick } from "../../support/seeded_random.ts";

const BOOLS = ["true", "false", "1", "0", "", "t", "F", "yes", "True"];
const NUMBERS = [
  "0",
  "1",
  "2",
  "500",
  "-1",
  "x",
  "",
  "1.5",
  "00",
  "%2B1",
  "9223372036854775807",
  "9223372036854775808",
];
const VERSIONS = ["0", "0", "1", "", "x", "-1", "00", "%2B1", "18446744073709551616", "1.0", "${rv}"];

/** Values of each parameter; `${scene}` is the prefix of all names in a scene. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  dryRun: ["All", "All", "", "all", "None", "All&dryRun=All", "All&dryRun=x"],
  fieldManager: ["m", "n", "", "a".repeat(128), "a".repeat(129), "%C3%BC", "a%0Ab", "a%20b", "m&fieldManager=n"],
  fieldValidation: ["Strict", "Warn", "Ignore", "", "strict", "x", "Strict&fieldValidation=Ignore"],
  force: BOOLS,
  pretty: BOOLS,
  gracePeriodSeconds: ["0", "1", "30", "-1", "x", "", "1.5", "9223372036854775808"],
  propagationPolicy: ["Background", "Foreground", "Orphan", "", "x", "background"],
  orphanDependents: BOOLS,
  ignoreStoreReadErrorWithClusterBreakingPotential: BOOLS,
  resourceVersion: VERSIONS,
  resourceVersionMatch: ["Exact", "NotOlderThan", "", "x", "exact"],
  limit: NUMBERS,
  continue: ["", "x", "${more}", "${more}", "e30", "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ"],
  timeoutSeconds: ["1", "10", "0", "x", "", "-1"],
  timeout: ["10s", "1m", "x", "", "-1s", "0", "1", "100h"],
  allowWatchBookmarks: BOOLS,
  sendInitialEvents: BOOLS,
  includeObject: ["None", "Metadata", "Object", "", "x"],
  shardSelector: ["", "x"],
  foo: ["bar", ""],
};

const WRITE = ["dryRun", "fieldManager", "fieldValidation", "pretty", "timeout", "foo"];

/** The parameters of each verb. */
const BY_VERB: Readonly<Record<string, readonly string[]>> = {
  get: ["resourceVersion", "resourceVersionMatch", "pretty", "includeObject", "timeout", "limit", "foo"],
  list: [
    ...["limit", "limit", "continue", "resourceVersion", "resourceVersionMatch", "pretty", "includeObject", "timeout"],
    ...["timeoutSeconds", "allowWatchBookmarks", "sendInitialEvents", "foo"],
  ],
  // No watch allows bookmarks, because the time of their arrival varies.
  watch: ["resourceVersion", "resourceVersionMatch", "sendInitialEvents", "includeObject", "limit"],
  create: WRITE,
  update: [...WRITE, "force"],
  patch: [...WRITE, "force"],
  apply: [...WRITE, "force"],
  delete: [
    ...["dryRun", "gracePeriodSeconds", "propagationPolicy", "orphanDependents", "pretty", "timeout"],
    "ignoreStoreReadErrorWithClusterBreakingPotential",
  ],
  deletecollection: [
    ...["dryRun", "gracePeriodSeconds", "propagationPolicy", "limit", "continue", "resourceVersion"],
    ...["resourceVersionMatch", "timeoutSeconds"],
  ],
};

const VALID_SELECTORS = [
  "a",
  "!a",
  "a=b",
  "a!=b",
  "a in (b,c)",
  "a notin (b)",
  "a==b",
  "kubernetes.io/a",
  "a>1",
  "a,b=c",
];
const INVALID_SELECTORS = [
  "a=b=c",
  "a in ()",
  "=",
  ",",
  "a b",
  "a in b",
  "(",
  "-a",
  "a=" + "b".repeat(64),
  "a>x",
  "!",
  "ü=1",
];
const FIELDS = ["metadata.name", "metadata.namespace", "a", "spec.x", "status.phase", "", "metadata.labels"];

/** Generates a query with a leading `?`, or an empty text. A list of shared objects is limited to those of the scene. */
export function anyQuery(
  verb: string,
  random: Random,
  scope: { readonly isShared: boolean; readonly selectableFields: readonly string[] },
): string {
  const parts: string[] = [];
  const isList = verb === "list" || verb === "watch" || verb === "deletecollection";
  if (verb === "watch") parts.push("watch=true", "timeoutSeconds=1");
  if (verb === "apply" && !oneIn(random, 8)) parts.push("fieldManager=m");
  if (isList) {
    const extra = oneIn(random, 6) ? `,${pick(random, VALID_SELECTORS)}` : "";
    if (oneIn(random, 12)) parts.push(`labelSelector=${encodeURIComponent(pick(random, INVALID_SELECTORS))}`);
    else if (scope.isShared) parts.push(`labelSelector=scene%3D\${scene}${encodeURIComponent(extra)}`);
    else if (oneIn(random, 5)) parts.push(`labelSelector=${encodeURIComponent(pick(random, VALID_SELECTORS))}`);
    if (oneIn(random, 6)) parts.push(`fieldSelector=${fieldSelector(random, scope.selectableFields)}`);
  }
  const names = BY_VERB[verb] ?? [];
  for (let left = oneIn(random, 2) ? 0 : 1 + below(random, 3); left > 0 && names.length > 0; left--) {
    const name = pick(random, verb !== "watch" && oneIn(random, 30) ? Object.keys(VALUES) : names);
    parts.push(`${name}=${pick(random, VALUES[name] ?? [""])}`);
  }
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}

function fieldSelector(random: Random, selectable: readonly string[]): string {
  const field = pick(random, oneIn(random, 3) || selectable.length === 0 ? FIELDS : selectable);
  const value = pick(random, ["${scene}-a", "${scene}-b", "a", "", "true", "x"]);
  const one = `${field}${pick(random, ["=", "==", "!=", "="])}${value}`;
  return encodeURIComponent(pick(random, [one, one, one, `${one},${one}`, `${one},metadata.name=a`, field, `${one}=x`]))
    .replaceAll("%24%7Bscene%7D", "${scene}");
}

const TYPES = [
  ...["application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "*/*", "application/*"],
  ...["application/cbor", "text/plain", "text/html", "application/json-seq", "application/vnd.kubernetes.protobuf"],
];
const AS = ["Table", "PartialObjectMetadata", "PartialObjectMetadataList", "Status", "table", ""];

/** Generates an Accept header or none; one type in three is requested as a Table or as metadata. */
export function anyAccept(random: Random): string | undefined {
  if (oneIn(random, 3)) return undefined;
  if (oneIn(random, 40)) return pick(random, ["", ",", ";", "json", "a/b;q=x", "*", "application/json;;", "/"]);
  return Array.from({ length: oneIn(random, 4) ? 2 + below(random, 2) : 1 }, () => mediaRange(random)).join(
    pick(random, [",", ", "]),
  );
}

function mediaRange(random: Random): string {
  const parts = [pick(random, oneIn(random, 2) ? TYPES.slice(0, 3) : TYPES)];
  if (oneIn(random, 3)) {
    parts.push(`as=${pick(random, AS.slice(0, oneIn(random, 5) ? AS.length : 3))}`);
    parts.push(`v=${pick(random, ["v1", "v1", "v1", "v1beta1", "v2"])}`);
    if (!oneIn(random, 12)) parts.push(`g=${pick(random, ["meta.k8s.io", "meta.k8s.io", "meta.k8s.io", "a"])}`);
  }
  if (oneIn(random, 6)) parts.push(`q=${pick(random, ["0", "0.5", "1", "0.9", "1.5", "x"])}`);
  if (oneIn(random, 20)) parts.push(pick(random, ["stream=watch", "charset=utf-8", "pretty=1", "profile=nopeer"]));
  return parts.join(";");
}
