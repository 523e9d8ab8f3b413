/**
 * The coverage of the corpus: for each resource each verb, media type, parameter and refusal. An empty cell is a
 * failure, unless an entry in `grid.yaml` gives the reason.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { parseRequestInfo } from "../../../server/http/request_info.ts";
import { CORPUS } from "./corpus.ts";
import type { Verdict } from "./replay.ts";

/** The counted properties of a resource, by groups of columns. */
export const COLUMNS = {
  verb: ["create", "get", "list", "watch", "update", "patch", "delete", "deletecollection"],
  patch: ["json", "merge", "strategic", "apply"],
  request: ["json", "yaml", "protobuf"],
  response: ["json", "yaml", "protobuf", "Table", "PartialObjectMetadata"],
  parameter: [
    ...["dryRun", "fieldManager", "fieldValidation", "pretty"],
    ...["limit", "continue", "resourceVersion", "resourceVersionMatch", "labelSelector", "fieldSelector"],
    ...["timeoutSeconds", "allowWatchBookmarks", "sendInitialEvents", "includeObject"],
    ...["propagationPolicy", "gracePeriodSeconds", "preconditions"],
  ],
  refusal: ["400", "401", "403", "404", "405", "406", "409", "410", "413", "415", "422"],
} as const;

export type ColumnGroup = keyof typeof COLUMNS;

/** A resource that the server lists in discovery. */
export interface ServedResource {
  /** `plural` or `plural/subresource`, followed by the group: `leases.coordination.k8s.io`. */
  readonly name: string;
  readonly verbs: readonly string[];
}

/** An intended empty cell. `*` stands for every resource, or for every column of a group. */
export interface EmptyCell {
  readonly resource: string;
  readonly group: ColumnGroup;
  readonly column: string;
  readonly reason: string;
}

/** Counts of identical exchanges by resource, then by `group column`. */
export type Grid = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** Reads the reasons of empty cells. */
export async function readEmptyCells(): Promise<readonly EmptyCell[]> {
  return (parse(await readFile(join(CORPUS, "grid.yaml"), "utf8")) ?? []) as readonly EmptyCell[];
}

export function countCells(verdicts: readonly Verdict[]): Grid {
  const grid = new Map<string, Map<string, number>>();
  for (const verdict of verdicts) {
    if (verdict.differences.length > 0) continue;
    const { resource, cells } = createCells(verdict);
    const row = grid.get(resource) ?? new Map<string, number>();
    for (const cell of cells) row.set(cell, (row.get(cell) ?? 0) + 1);
    grid.set(resource, row);
  }
  return grid;
}

/** Lists the cells that a resource should fill: its verbs and their media types, parameters and refusals. */
export function listExpectedCells({ verbs }: ServedResource): readonly string[] {
  const has = (verb: string) => verbs.includes(verb);
  const writes = has("create") || has("update") || has("patch");
  const isStored = has("list");
  const isWritten = !isStored || writes || has("delete");
  const wanted: (readonly [ColumnGroup, string, boolean])[] = [
    ...COLUMNS.verb.map((verb) => ["verb", verb, has(verb)] as const),
    ...COLUMNS.patch.map((type) => ["patch", type, has("patch")] as const),
    ...COLUMNS.request.map((type) => ["request", type, has("create") || has("update")] as const),
    ...COLUMNS.response.map((type) =>
      ["response", type, isStored || (type !== "Table" && type !== "PartialObjectMetadata")] as const
    ),
    ...COLUMNS.parameter.map((name) =>
      ["parameter", name, parameterApplies(name, { writes, isWritten, isStored })] as const
    ),
    ...COLUMNS.refusal.map((code) => ["refusal", code, refusalApplies(code, { isWritten, isStored })] as const),
  ];
  return wanted.filter(([, , applies]) => applies).map(([group, column]) => `${group} ${column}`);
}

function parameterApplies(
  name: string,
  { writes, isWritten, isStored }: {
    readonly writes: boolean;
    readonly isWritten: boolean;
    readonly isStored: boolean;
  },
): boolean {
  if (["dryRun", "fieldManager", "fieldValidation"].includes(name)) return writes;
  if (["propagationPolicy", "gracePeriodSeconds", "preconditions"].includes(name)) return isStored && isWritten;
  return name === "pretty" || isStored;
}

/** Requests that only read have no body and no conflicts. */
function refusalApplies(
  code: string,
  { isWritten, isStored }: { readonly isWritten: boolean; readonly isStored: boolean },
): boolean {
  if (["409", "413", "415", "422"].includes(code) && !isWritten) return false;
  return isStored || !["404", "409", "410"].includes(code);
}

/** Finds the expected cells that are empty, and the entries that were not needed. */
export function findHoles(
  grid: Grid,
  served: readonly ServedResource[],
  empty: readonly EmptyCell[],
): { readonly holes: readonly string[]; readonly unused: readonly EmptyCell[] } {
  const used = new Set<EmptyCell>();
  const holes: string[] = [];
  for (const resource of served) {
    for (const cell of listExpectedCells(resource)) {
      if ((grid.get(resource.name)?.get(cell) ?? 0) > 0) continue;
      const [group, column] = cell.split(" ");
      const reason = empty.find((entry) =>
        (entry.resource === "*" || entry.resource === resource.name) && entry.group === group &&
        (entry.column === "*" || entry.column === column)
      );
      if (reason === undefined) holes.push(`${resource.name}: ${cell}`);
      else used.add(reason);
    }
  }
  return { holes, unused: empty.filter((entry) => !used.has(entry)) };
}

const PATCH_TYPES: Readonly<Record<string, string>> = {
  "application/json-patch+json": "json",
  "application/merge-patch+json": "merge",
  "application/strategic-merge-patch+json": "strategic",
  "application/apply-patch+yaml": "apply",
};

/** Returns the resource of an exchange, and the cells that it fills. */
function createCells(
  { sent, status, contentType, value }: Verdict,
): { readonly resource: string; readonly cells: readonly string[] } {
  const url = new URL(sent.target, "https://server");
  const info = parseRequestInfo(sent.method, url.pathname, url.searchParams);
  const plural = info.subresource === "" ? info.resource : `${info.resource}/${info.subresource}`;
  const resource = info.apiGroup === "" ? plural : `${plural}.${info.apiGroup}`;
  if (status >= 400) return { resource, cells: [`refusal ${status}`] };
  const cells = [`verb ${info.verb}`];
  if (info.verb === "patch") cells.push(`patch ${PATCH_TYPES[sent.contentType] ?? sent.contentType}`);
  else if (sent.hasBody) cells.push(`request ${toForm(sent.contentType)}`);
  const kind = (value as { readonly kind?: unknown } | null)?.kind;
  cells.push(
    `response ${
      typeof kind === "string" && /^(Table|PartialObjectMetadata)/.test(kind)
        ? kind.replace(/List$/, "")
        : toForm(contentType)
    }`,
  );
  for (const name of url.searchParams.keys()) cells.push(`parameter ${name}`);
  for (const name of sent.bodyMembers) cells.push(`parameter ${name}`);
  return { resource, cells };
}

function toForm(mediaType: string): string {
  return mediaType.replace("application/vnd.kubernetes.", "").replace("application/", "");
}
