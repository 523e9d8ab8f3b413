/**
 * Sends the same requests to a real kube-apiserver 1.37 and to `tlsboot serve`. Their answers must be the same. The
 * exchanges are in `corpus/`, and the code that compares them is in `comparison/`.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { parse } from "yaml";
import { PROVEN_CLIENTS } from "./comparison/clients.ts";
import { formatCompatibility } from "./comparison/compatibility.ts";
import { CORPUS, readCorpus } from "./comparison/corpus.ts";
import { countCells, findHoles, readEmptyCells, type ServedResource } from "./comparison/grid.ts";
import { readIntendedDifferences } from "./comparison/intended.ts";
import { replayCorpus, type Replayed } from "./comparison/replay.ts";
import { countIdentical, formatReport } from "./comparison/report.ts";
import { administer } from "./comparison/send.ts";
import { type Side, startPair } from "./comparison/sides.ts";
import { PROVEN_VERSIONS } from "./comparison/versions.ts";
import { TLSBOOT_GROUP } from "../../core/kube/kinds/constants.ts";
import { assertGolden } from "../support/golden.ts";

const IDENTICAL = join(CORPUS, "identical.yaml");
const PAGE = join("docs", "reference", "compatibility.md");
const isUpdating = process.env["TLSBOOT_UPDATE_GOLDEN"] === "1";

interface Compared extends Replayed {
  readonly served: readonly ServedResource[];
}

interface Group {
  readonly name: string;
  readonly versions: readonly { readonly groupVersion: string }[];
}

interface ResourceList {
  readonly groupVersion: string;
  readonly resources: readonly { readonly name: string; readonly verbs: readonly string[] }[];
}

/** Reads the resources of every group and version of Kubernetes from discovery. */
async function readServed(side: Side): Promise<readonly ServedResource[]> {
  const groups = await administer(side, "GET /apis") as { readonly groups: readonly Group[] };
  const paths = [
    "/api/v1",
    ...groups.groups.filter(({ name }) => name !== TLSBOOT_GROUP).flatMap(({ versions }) =>
      versions.map(({ groupVersion }) => `/apis/${groupVersion}`)
    ),
  ];
  const rows: ServedResource[] = [];
  for (const path of paths) {
    const { groupVersion, resources } = await administer(side, `GET ${path}`) as ResourceList;
    const group = groupVersion.includes("/") ? groupVersion.split("/")[0]! : "";
    for (const { name, verbs } of resources) rows.push({ name: group === "" ? name : `${name}.${group}`, verbs });
  }
  return rows;
}

let comparing: Promise<Compared> | undefined;

/** One replay serves all tests of this file. */
function replayOnce(): Promise<Compared> {
  comparing ??= (async () => {
    const [files, intended] = await Promise.all([readCorpus(), readIntendedDifferences()]);
    await using pair = await startPair();
    const replayed = await replayCorpus(pair, files, intended);
    const [, ours] = pair.sides;
    return { ...replayed, served: await readServed(ours) };
  })();
  return comparing;
}

test("tlsboot serve answers every exchange of the corpus as kube-apiserver does", async () => {
  const replayed = await replayOnce();
  const report = formatReport(replayed);
  process.stdout.write(report.slice(-6_000));
  assert.deepEqual(replayed.unused, [], "entries of differences.yaml that no exchange needed");
  const differing = replayed.verdicts.filter(({ unintended }) => unintended.length > 0);
  assert.equal(differing.length, 0, report);
});

test("the number of identical exchanges does not drop", async () => {
  const { verdicts } = await replayOnce();
  const identical = countIdentical(verdicts);
  if (isUpdating) {
    await writeFile(
      IDENTICAL,
      `# The number of exchanges with identical answers, which must not drop.\nidentical: ${identical}\n`,
    );
  }
  const { identical: before } = parse(await readFile(IDENTICAL, "utf8")) as { readonly identical: number };
  assert.ok(identical >= before, `${identical} exchanges are identical, ${before} were`);
});

test("the corpus covers each verb, media type, parameter and refusal of each resource", async () => {
  const { verdicts, served } = await replayOnce();
  const { holes, unused } = findHoles(countCells(verdicts), served, await readEmptyCells());
  assert.deepEqual(holes, [], "cells that no identical exchange fills");
  assert.deepEqual(unused, [], "entries of grid.yaml that are not needed");
});

test("docs/reference/compatibility.md agrees with the proven results", async () => {
  const { verdicts, served } = await replayOnce();
  for (const { test: file } of PROVEN_CLIENTS) assert.ok(existsSync(join("tests", file)), file);
  for (const { program, test: file } of PROVEN_VERSIONS.filter(({ releases }) => releases.size > 1)) {
    // A test with its own list of releases would not prove what the page says.
    const source = await readFile(join("tests", file), "utf8");
    assert.match(source, /^ *for \(const .* of (KUBERNETES_RELEASES|KUBE_APISERVER_VERSIONS)\b/m, program);
  }
  const page = formatCompatibility(verdicts, countCells(verdicts), served, PROVEN_CLIENTS, PROVEN_VERSIONS);
  await assertGolden(PAGE, page);
});
