/** Checks that packaging/kustomize matches the current chart and has the permissions that `--print-rbac` prints. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { run } from "../cli/run.ts";
import type { KubeObject } from "../core/kube/meta.ts";
import { createCapturedIo } from "./support/captured_io.ts";
import { formatChartHeader } from "./support/chart.ts";
import { createTempFolder } from "./support/temp.ts";

function parseObjects(text: string): readonly KubeObject[] {
  return parseAllDocuments(text).map((document) => document.toJS() as KubeObject);
}

async function readManifest(name: string): Promise<string> {
  return await readFile(`packaging/kustomize/${name}/${name}.yaml`, "utf8");
}

test("packaging/kustomize is rendered from the current chart; docs/engineering/laboratory.md says how", async () => {
  const header = await formatChartHeader();
  for (const name of ["signer", "approver", "pod-signer", "servicemonitor"]) {
    assert.equal((await readManifest(name)).split("\n")[0], header, name);
  }
});

test("the roles of packaging/kustomize have the permissions that --print-rbac prints", async () => {
  await using folder = await createTempFolder();
  const profile = folder.join("profile.yaml");
  const pods = parseObjects(await readManifest("pod-signer"));
  const files = pods.find(({ kind }) => kind === "ConfigMap") as KubeObject & { data: Record<string, string> };
  await writeFile(profile, files.data["profile.yaml"] ?? "");
  for (
    const [name, args] of [
      ["signer", ["signer"]],
      ["approver", ["approver"]],
      ["pod-signer", ["signer", "--pod-certificates", "--profile", profile]],
    ] as const
  ) {
    const io = createCapturedIo();
    const code = await run([...args, "--print-rbac"], io, new AbortController().signal);
    assert.equal(code, 0, io.stderrText());
    const granted = parseObjects(await readManifest(name)).filter(({ kind = "" }) => /Role|ServiceAccount/.test(kind));
    assert.deepEqual(granted, parseObjects(io.stdoutText()));
  }
});
