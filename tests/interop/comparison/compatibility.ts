/** Formats the results of the suite as `docs/reference/compatibility.md`. */
import { type ColumnGroup, COLUMNS, type Grid, type ServedResource } from "./grid.ts";
import type { Verdict } from "./replay.ts";
import { countIdentical } from "./report.ts";
import type { ProvenVersions } from "./versions.ts";

/** A program that runs unmodified against tlsboot, and the test that shows it. */
export interface ProvenClient {
  readonly client: string;
  readonly shown: string;
  /** The name of the test file. */
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

/** Formats the page. Its only count is that of all exchanges, so the rest changes only with the coverage. */
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
    "The interoperability suite (`deno task interop`) writes this page from its results. Do not edit it by hand.",
    "",
    `The suite sends the same exchanges to kube-apiserver 1.37.2 and to \`tlsboot serve\`. Of ${verdicts.length} exchanges, ` +
    `${
      countIdentical(verdicts)
    } have identical answers: the status, the headers that clients read, and the whole body. ` +
    "Values that also differ between two real servers are left out (uids, resourceVersions, times, continue tokens, " +
    "generated suffixes, hashes, addresses, build information), and so are documentation texts and the messages of YAML " +
    "errors, for which tlsboot has its own words.",
    "",
    "## Clients",
    "",
    "Unmodified programs that the suite runs against tlsboot.",
    "",
    "| client | what it does here | test |",
    "| --- | --- | --- |",
    ...clients.map(({ client, shown, test }) => `| ${client} | ${shown} | \`${test}\` |`),
    "",
    ...formatVersions(versions),
    "## Metrics",
    "",
    "`/metrics` is always text (`text/plain; version=0.0.4`), whatever the request accepts. kube-apiserver also has " +
    "protobuf with native histograms, which tlsboot omits on purpose. Prometheus falls back to text. A client that reads " +
    "only protobuf, such as the Kubernetes test `[sig-instrumentation] NativeHistograms [Beta]`, cannot read the metrics " +
    "of tlsboot.",
    "",
    "## APIs",
    "",
    "For each entry, the suite has seen the same answer as from kube-apiserver.",
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

/** Formats the matrix of Kubernetes programs and their releases. */
function formatVersions(versions: readonly ProvenVersions[]): readonly string[] {
  const minors = [...new Set(versions.flatMap(({ releases }) => [...releases.keys()]))].sort();
  return [
    "## Versions",
    "",
    "Each test runs once for each release of its row. tlsboot answers as kube-apiserver 1.37 does, and Kubernetes lets a " +
    "kubelet be up to three minor releases older than its server. An emulated release is kube-apiserver 1.37.2 with " +
    "`--emulated-version`. An empty cell was not run.",
    "",
    `| program | ${minors.join(" | ")} | what was run | test |`,
    `| --- | ${minors.map(() => "---").join(" | ")} | --- | --- |`,
    ...versions.map(({ program, releases, shown, test }) =>
      `| ${program} | ${minors.map((minor) => releases.get(minor) ?? "").join(" | ")} | ${shown} | \`${test}\` |`
    ),
    "",
  ];
}
