/**
 * Writes the byte-exact test vectors of every kind as modules, so that tests need no Go module cache:
 * `deno run -A scripts/vectors.ts <k8s.io/api>/testdata/HEAD`. Run it again when the Kubernetes version changes.
 */
import type { Buffer } from "node:buffer";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { ALL_KINDS } from "../core/kube/kinds/mod.ts";

const TARGET = "core/kube/kinds/testdata";

function main(source: string): void {
  const names: string[] = [];
  for (const kind of ALL_KINDS) {
    const base = `${kind.group === "" ? "core" : kind.group}.${kind.version}.${kind.kind}`;
    const read = (extension: string): Buffer => readFileSync(join(source, `${base}.${extension}`));
    const name = `${kind.plural}${kind.group === "events.k8s.io" ? "_v1" : ""}`;
    names.push(name);
    const vector = {
      json: JSON.stringify(JSON.parse(read("json").toString())),
      yaml: read("yaml").toString(),
      protobuf: read("pb").toString("base64"),
    };
    const fields = Object.entries(vector).map(([key, value]) => `  ${key}:\n    ${JSON.stringify(value)},\n`);
    writeFileSync(
      join(TARGET, `${name}.ts`),
      `/** Made by scripts/vectors.ts from \`${base}\`. */\nimport type { Vector } from "./vector.ts";\n\n` +
        `/** Every field set. */\nexport const ${name}: Vector = {\n${fields.join("")}};\n`,
    );
  }
  names.sort();
  const imports = names.map((name) => `import { ${name} } from "./${name}.ts";\n`);
  writeFileSync(
    join(TARGET, "mod.ts"),
    `/** Made by scripts/vectors.ts: one vector for each kind, by file name. */\n` +
      `import type { Vector } from "./vector.ts";\n${imports.join("")}\n` +
      `/** By plural name; the newer Event kind is \`events_v1\`. */\n` +
      `export const VECTORS: Readonly<Record<string, Vector>> = {\n  ${names.join(",\n  ")},\n};\n`,
  );
}

const source = process.argv[2];
if (source === undefined) {
  process.stderr.write("usage: vectors.ts <folder of testdata/HEAD>\n");
  process.exitCode = 2;
} else main(source);
