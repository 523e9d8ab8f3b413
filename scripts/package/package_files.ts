/** The files that packages for Linux install next to the program: units, manual pages, completion, licences. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { BuildCommit } from "../../core/version.ts";
import { renderLicenses } from "../../cli/sbom/licenses.ts";
import { COMMAND_TABLE } from "../../cli/commands/mod.ts";
import { renderCompletionScript } from "../../cli/framework/completion.ts";
import { createEdition, manName, manTopics, renderMan } from "../../cli/framework/man.ts";
import { type TarEntry, toTarFile } from "./released_files.ts";

/** The only file that users edit. */
export const CONFIGURATION_FILE = "etc/tlsboot/up.yaml";

/** The paths at which the files of `packaging/systemd` are installed. */
const SYSTEMD: readonly (readonly [source: string, target: string])[] = [
  ["tlsboot.service", "usr/lib/systemd/system/tlsboot.service"],
  ["tlsboot.socket", "usr/lib/systemd/system/tlsboot.socket"],
  ["tlsboot-signer@.service", "usr/lib/systemd/system/tlsboot-signer@.service"],
  ["tlsboot-approver@.service", "usr/lib/systemd/system/tlsboot-approver@.service"],
  ["tlsboot-attestor@.service", "usr/lib/systemd/system/tlsboot-attestor@.service"],
  ["sysusers.conf", "usr/lib/sysusers.d/tlsboot.conf"],
  ["up.yaml", CONFIGURATION_FILE],
];

/** Files of `packaging` for other programs. Users copy them to where these programs read them. */
const EXAMPLES: readonly (readonly [source: string, name: string])[] = [
  ["mixin/tlsboot.rules.yaml", "tlsboot.rules.yaml"],
  ["k9s/plugins.yaml", "k9s-plugins.yaml"],
];

/** The name by which kubectl finds the program as `kubectl tlsboot`, and its manual page. */
const KUBECTL_PLUGIN: readonly TarEntry[] = [
  { path: "usr/bin/kubectl-tlsboot", mode: 0o777, target: "tlsboot" },
  { path: "usr/share/man/man1/kubectl-tlsboot.1.gz", mode: 0o777, target: "tlsboot.1.gz" },
];

/** Returns the files in no particular order, with Debian's paths. */
export async function packageFiles(root: string, build: BuildCommit): Promise<readonly TarEntry[]> {
  const edition = createEdition(build);
  const systemd = SYSTEMD.map(async ([source, path]) =>
    toTarFile(path, await readFile(join(root, "packaging", "systemd", source), "utf8"))
  );
  const pages = manTopics(COMMAND_TABLE).map((topic) =>
    compressed(`usr/share/man/man1/${manName(COMMAND_TABLE, topic)}.1.gz`, renderMan(COMMAND_TABLE, topic, edition))
  );
  const completion = (shell: "bash" | "zsh" | "fish", path: string): TarEntry =>
    toTarFile(`usr/share/${path}`, renderCompletionScript(shell, COMMAND_TABLE.program));
  return [
    ...KUBECTL_PLUGIN,
    ...await Promise.all(systemd),
    ...pages,
    completion("bash", "bash-completion/completions/tlsboot"),
    completion("zsh", "zsh/vendor-completions/_tlsboot"),
    completion("fish", "fish/vendor_completions.d/tlsboot.fish"),
    toTarFile("usr/share/doc/tlsboot/copyright", renderLicenses()),
    ...await Promise.all(
      EXAMPLES.map(async ([source, name]) =>
        toTarFile(`usr/share/doc/tlsboot/examples/${name}`, await readFile(join(root, "packaging", source), "utf8"))
      ),
    ),
    compressed("usr/share/doc/tlsboot/changelog.gz", await readFile(join(root, "CHANGELOG.md"), "utf8")),
  ];
}

/** Creates a compressed file; its name ends with `.gz`. */
export function compressed(path: string, text: string): TarEntry {
  return { path, mode: 0o644, data: gzipSync(text, { level: 9 }) };
}
