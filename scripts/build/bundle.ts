/**
 * `cli/main.ts` and all that it needs as one CommonJS script. The same sources and the same lock file give the same
 * bytes, in whatever folder they lie.
 */
import { build, type BuildOptions, type Metafile } from "esbuild";
import { join } from "node:path";
import process from "node:process";

/** The script, and what went into it. */
export interface Bundle {
  /** ASCII only, so that Node keeps it at a byte a character. */
  readonly code: string;
  /** esbuild's account of the files and of the bytes that each gave. */
  readonly metafile: Metafile;
}

const OPTIONS = {
  bundle: true,
  format: "cjs",
  platform: "node",
  target: "node24",
  // A single executable has no files to import; what is bundled is evaluated when it is asked for all the same.
  supported: { "dynamic-import": false },
  // Not identifiers: names of classes and functions are for people who read a stack trace.
  minifyWhitespace: true,
  minifySyntax: true,
  // `tlsboot docs licenses` prints the licences.
  legalComments: "none",
  charset: "ascii",
  write: false,
  metafile: true,
  logLevel: "warning",
} as const satisfies BuildOptions;

/** Bundles the checkout in a folder. */
export function bundle(root: string = process.cwd()): Promise<Bundle> {
  return bundleEntry(root, join("cli", "main.ts"));
}

/** The script that the executable runs first. */
export async function bundleLoader(): Promise<string> {
  return (await bundleEntry(process.cwd(), join("scripts", "build", "loader.ts"))).code;
}

async function bundleEntry(root: string, entry: string): Promise<Bundle> {
  const { outputFiles: [output], metafile } = await build({
    ...OPTIONS,
    absWorkingDir: root,
    entryPoints: [join(root, entry)],
  });
  if (output === undefined) throw new Error(`esbuild made nothing of ${entry}`);
  const foreign = /[^\0-\x7f]/.exec(output.text);
  if (foreign !== null) throw new Error(`the bundle of ${entry} has a character beyond ASCII at ${foreign.index}`);
  return { code: output.text, metafile };
}
