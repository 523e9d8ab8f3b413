/** `docs/reference/compatibility.md`: the results of the suite, as a page. */
import { type ColumnGroup, COLUMNS, type Grid, type ServedResource } from "./grid.ts";
import type { Verdict } from "./replay.ts";
import { countIdentical } from "./report.ts";
import type { ProvenVersions } from "./versions.ts";

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
  versions: readonly ProvenVersions[],
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
    "addresses, build information) and for documentation texts and faults of YAML, which are in our own words.",
    "",
    "## Clients",
    "",
    "Unmodified programs that are run to the end against tlsboot.",
    "",
    "| client | what it does here | test |",
    "| --- | --- | --- |",
    ...clients.map(({ client, shown, test }) => `| ${client} | ${shown} | \`${test}\` |`),
    "",
    ...formatVersions(versions),
    "## Metrics",
    "",
    "`/metrics` is always text (`text/plain; version=0.0.4`), whatever the request accepts. kube-apiserver also has " +
    "protobuf, with native histograms; tlsboot has neither, on purpose. Prometheus falls back to text by itself. A " +
    "client that reads protobuf only, such as the test `[sig-instrumentation] NativeHistograms [Beta]` of Kubernetes, " +
    "cannot read the metrics of tlsboot.",
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

/** The matrix of programs of Kubernetes and their releases. */
function formatVersions(versions: readonly ProvenVersions[]): readonly string[] {
  const minors = [...new Set(versions.flatMap(({ releases }) => [...releases.keys()]))].sort();
  return [
    "## Versions",
    "",
    "Each test runs once for each release of its row. tlsboot answers as kube-apiserver 1.37 does, and Kubernetes lets a " +
    "kubelet be up to three minor releases older than its server. An emulated release is kube-apiserver 1.37.2 with " +
    "`--emulated-version`. What an empty cell stands for was not run.",
    "",
    `| program | ${minors.join(" | ")} | what was run | test |`,
    `| --- | ${minors.map(() => "---").join(" | ")} | --- | --- |`,
    ...versions.map(({ program, releases, shown, test }) =>
      `| ${program} | ${minors.map((minor) => releases.get(minor) ?? "").join(" | ")} | ${shown} | \`${test}\` |`
    ),
    "",
  ];
}
