/** `docs/reference/compatibility.md`: the results of the suite, as a page. */
import { type ColumnGroup, COLUMNS, type Grid, type ServedResource } from "./grid.ts";
import type { Verdict } from "./replay.ts";
import { countIdentical } from "./report.ts";

/** A program that runs unmodified against tlsboot, and the test that shows it. */
export interface ProvenClient {
  readonly client: string;
  readonly shown: string;
  /** The name of a file below `tests/interop`. */
  readonly test: string;
}

const TITLES: Readonly<Record<ColumnGroup, string>> = {
  verb: "Verbs",
  patch: "Patch types",
  request: "Request bodies",
  response: "Answers",
  parameter: "Parameters",
  refusal: "Refusals",
};

/** Writes the page. Of counts only that of all exchanges is in it: the rest changes only when what is covered changes. */
export function formatCompatibility(
  verdicts: readonly Verdict[],
  grid: Grid,
  served: readonly ServedResource[],
  clients: readonly ProvenClient[],
): string {
  const groups = Object.keys(COLUMNS) as readonly ColumnGroup[];
  const lines = [
    "# Compatibility",
    "",
    "Written by the interoperability suite (`deno task interop`) from what it has just proven; not edited by hand.",
    "",
    `The judge is kube-apiserver 1.37.2: of ${verdicts.length} exchanges, sent to it and to \`tlsboot serve\` alike, ` +
    `${
      countIdentical(verdicts)
    } were answered identically: status, headers that clients read, and the whole body, but for ` +
    "what two real servers also differ in (uids, resourceVersions, times, continue tokens, generated suffixes, hashes, " +
    "addresses, build information) and for documentation texts, which are our own words.",
    "",
    "## Clients",
    "",
    "Unmodified programs that are run to the end against tlsboot.",
    "",
    "| client | what it does here | test |",
    "| --- | --- | --- |",
    ...clients.map(({ client, shown, test }) => `| ${client} | ${shown} | \`${test}\` |`),
    "",
    "## APIs",
    "",
    "Each entry of a cell was seen to be answered as kube-apiserver answers it.",
    "",
    ...served.flatMap((resource) => {
      const row = grid.get(resource.name);
      return [
        `### ${resource.name}`,
        "",
        ...groups.flatMap((group) => {
          const proven = COLUMNS[group].filter((column) => (row?.get(`${group} ${column}`) ?? 0) > 0);
          return proven.length === 0 ? [] : [`- ${TITLES[group]}: ${proven.join(", ")}`];
        }),
        "",
      ];
    }),
  ];
  return `${lines.join("\n").trimEnd()}\n`;
}
