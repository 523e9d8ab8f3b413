/**
 * The facts that only the owner of the project knows, and the parts of README and SECURITY that depend on them and on
 * the release key. Set both constants before the first release, and run `deno task docs`.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RELEASE_KEY } from "../../cli/release_key.ts";
import { TLSBOOT_VERSION } from "../../core/version.ts";

/** The address of the repository on GitHub: `https://github.com/OWNER/NAME`. Empty until the owner sets it. */
export const ADDRESS: string = "";

/** The e-mail address of the maintainers, also for reports of vulnerabilities. Empty until the owner sets it. */
export const CONTACT: string = "";

/** The facts that the pages contain. */
interface ProjectFacts {
  readonly address: string;
  readonly contact: string;
  readonly releaseKey: string | undefined;
  readonly version: string;
}

const FACTS: ProjectFacts = {
  address: ADDRESS,
  contact: CONTACT,
  releaseKey: RELEASE_KEY,
  version: TLSBOOT_VERSION,
};

/** Renders both pages of a checkout, by path. `changed` replaces facts of the checkout. */
export async function renderPages(
  root: string,
  changed: Partial<ProjectFacts> = {},
): Promise<Readonly<Record<string, string>>> {
  const facts = { ...FACTS, ...changed };
  const parts = [
    { path: "README.md", part: /(?<=\n## Install\n\n)[^]*?(?=\n\nThe file )/, text: renderInstall(facts) },
    {
      path: "SECURITY.md",
      part: /(?<=\n## Reporting a vulnerability\n\n)[^]*?(?=\n\nPlease )/,
      text: renderReporting(facts),
    },
  ];
  const pages = parts.map(async ({ path, part, text }) => {
    const page = await readFile(join(root, path), "utf8");
    if (!part.test(page)) throw new Error(`${path}: no text matches ${part}`);
    return [path, page.replace(part, () => text)] as const;
  });
  return Object.fromEntries(await Promise.all(pages));
}

/** Writes both pages of a checkout. */
export async function writePages(root: string, changed: Partial<ProjectFacts> = {}): Promise<void> {
  for (const [path, page] of Object.entries(await renderPages(root, changed))) await writeFile(join(root, path), page);
}

function renderInstall({ address, releaseKey, version }: ProjectFacts): string {
  if (address === "" || releaseKey === undefined) {
    const signed = releaseKey === undefined ? "" : `\n\nFiles are signed with the minisign key \`${releaseKey}\`.`;
    const command = "`npx -y deno@2.9.6 task build`";
    return `There is nothing to download yet: ${command} builds the file and \`SHA256SUMS\` into \`dist/\`.${signed}`;
  }
  return `The file for x64 (for arm64, write \`linux-arm64\`), its checksum and its signature:

\`\`\`sh
curl -fLO "${address}/releases/download/v${version}/{tlsboot-${version}-linux-x64,SHA256SUMS,SHA256SUMS.minisig}"
minisign -V -P ${releaseKey} -m SHA256SUMS
\`\`\``;
}

function renderReporting({ contact }: ProjectFacts): string {
  if (contact !== "") return `Write to ${contact}.`;
  return `\
The project has no address for private reports yet. Use the private reporting of the platform that hosts this repository
if it has one (on GitHub: Security, "Report a vulnerability"). Otherwise open an issue that only asks for a private
channel.`;
}
