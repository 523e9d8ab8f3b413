/**
 * Writes the test vectors of every Kubernetes kind into one module, so that tests need no Go module cache:
 * `deno run -A tests/support/write_vectors.ts <k8s.io/api>/testdata/HEAD`, then `deno fmt`. Run it again when the
 * Kubernetes version changes.
 */
import type { Buffer } from "node:buffer";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { ALL_KINDS } from "../../core/kube/kinds/mod.ts";
import { TLSBOOT_GROUP } from "../../core/kube/kinds/constants.ts";

const TARGET = "core/kube/kinds/testdata/vectors.ts";

function main(source: string): void {
  const vectors: Record<string, Record<string, string>> = {};
  for (const kind of ALL_KINDS.filter(({ group }) => group !== TLSBOOT_GROUP)) {
    const base = `${kind.group === "" ? "core" : kind.group}.${kind.version}.${kind.kind}`;
    const read = (extension: string): Buffer => readFileSync(join(source, `${base}.${extension}`));
    vectors[`${kind.plural}${kind.group === "events.k8s.io" ? "_v1" : ""}`] = {
      json: JSON.stringify(JSON.parse(read("json").toString())),
      yaml: read("yaml").toString(),
      protobuf: read("pb").toString("base64"),
    };
  }
  const [head = ""] = readFileSync(TARGET, "utf8").split(START);
  const names = Object.keys(vectors).sort();
  const entries = names.map((name) => {
    const fields = Object.entries(vectors[name] ?? {}).map(([key, value]) => `${key}: ${JSON.stringify(value)},\n`);
    return `${name}: {\n${fields.join("")}},\n`;
  });
  writeFileSync(TARGET, `${head}${START}${entries.join("")}};\n`);
}

/** The last line before the vectors; the text up to it is kept. */
const START = "export const VECTORS: Readonly<Record<string, Vector>> = {\n";

const source = process.argv[2];
if (source === undefined) {
  process.stderr.write("usage: write_vectors.ts <folder of testdata/HEAD>\n");
  process.exitCode = 2;
} else main(source);
