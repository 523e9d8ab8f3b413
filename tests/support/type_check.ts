/** Checks the types of changed sources with TypeScript, for programs that change the product to test its tests. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

/** Returns the type errors in files whose texts are replaced, by path from the root of the checkout. */
export type TypeCheck = (changed: ReadonlyMap<string, string>) => readonly string[];

/** Creates a type check of a checkout, which keeps its unchanged files in memory. */
export function createTypeCheck(root: string): TypeCheck {
  const { options } = ts.convertCompilerOptionsFromJson({
    ...JSON.parse(readFileSync(join(root, "deno.json"), "utf8")).compilerOptions,
    target: "ESNext",
    module: "ESNext",
    moduleResolution: "Bundler",
    allowImportingTsExtensions: true,
    noEmit: true,
    lib: ["ESNext", "DOM"],
    types: ["node"],
    skipLibCheck: true,
  }, root);
  let texts = new Map<string, string>();
  const versions = new Map<string, number>();
  const setTexts = (next: typeof texts): void => {
    for (const path of [...texts.keys(), ...next.keys()]) versions.set(path, (versions.get(path) ?? 0) + 1);
    texts = next;
  };
  const service = ts.createLanguageService({
    getCompilationSettings: () => options,
    getCurrentDirectory: () => root,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    getScriptFileNames: () => [...texts.keys()],
    getScriptVersion: (path) => String(versions.get(path) ?? 0),
    getScriptSnapshot(path) {
      const text = texts.get(path) ?? ts.sys.readFile(path);
      return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
    },
    fileExists: ts.sys.fileExists,
    readFile: ts.sys.readFile,
    directoryExists: ts.sys.directoryExists,
    getDirectories: ts.sys.getDirectories,
  });
  return (changed) => {
    setTexts(new Map([...changed].map(([file, text]) => [join(root, file), text])));
    return [...texts.keys()].flatMap((path) =>
      service.getSemanticDiagnostics(path).map(({ start, messageText }) =>
        `${path}:${start}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`
      )
    );
  };
}
