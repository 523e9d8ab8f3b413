/** The command `tlsboot version`: its flags, help and examples. */
import { STRUCTURED_OUTPUT } from "../../flags/common.ts";
import { defineCommand } from "../../framework/command.ts";
import { directoryFlag, fileFlag, switchFlag } from "../../framework/flags.ts";
import { atMostOneOf, excludes, needs, whenTyped } from "../../framework/rules.ts";

export const versionCommand = defineCommand({
  path: ["version"],
  summary: "Print the version",
  description: `Print the version of tlsboot and the Kubernetes release whose API it implements.

 Also prints the commit that the program was built from, the runtime inside and its OpenSSL.

 --verify detects a damaged file. A forged one could print anything: check a file with minisign before it runs.`,
  group: "Program Commands",
  flags: {
    output: STRUCTURED_OUTPUT,
    sbom: switchFlag({
      summary:
        "Print the software bill of materials instead: all components with version, licence and hash, as CycloneDX JSON.",
    }),
    licenses: switchFlag({
      summary:
        "Print the licence texts of everything inside instead: of tlsboot, of its packages, and of Node and its parts.",
    }),
    verify: switchFlag({
      summary: "Check this file instead: its hash is in SHA256SUMS of a release, whose minisign signature is genuine.",
    }),
    release: directoryFlag({
      summary: "Folder with SHA256SUMS and SHA256SUMS.minisig for --verify. Without it, the folder of this file.",
    }),
    releaseKey: fileFlag({
      summary: "Public key of minisign for --verify. Without it, the key of the releases, which is in the file.",
    }),
  },
  examples: {
    "Print the version for a script": "tlsboot version -o json",
    "Write the bill of materials for a scanner": "tlsboot version --sbom > tlsboot.cdx.json",
    "Read the licences": "tlsboot version --licenses | less",
    "Check the installed file against a stick":
      "tlsboot version --verify --release /media/stick --release-key minisign.pub",
  },
  rules: [
    atMostOneOf("sbom", "licenses", "verify"),
    whenTyped(excludes("output", "sbom", "licenses", "verify")),
    whenTyped(needs(["release", "releaseKey"], "verify")),
  ],
  exitCodes: { 3: "--verify: this file is not one of the release" },
});
