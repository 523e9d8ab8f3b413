/** The command `tlsboot version`: its flags, help and examples. */
import { STRUCTURED_OUTPUT } from "../../flags/common.ts";
import { defineCommand } from "../../framework/command.ts";
import { directoryFlag, fileFlag, switchFlag } from "../../framework/flags.ts";
import { atMostOneOf, excludes, needs, whenTyped } from "../../framework/rules.ts";

export const versionCommand = defineCommand({
  path: ["version"],
  summary: "Print the version",
  description: `Print the version of tlsboot and the Kubernetes release whose API it implements.

 Also prints the commit that the program was built from, its runtime, and the version of OpenSSL.

 --verify detects a damaged file. A forged file could print anything: check it with minisign before you run it.`,
  group: "Program Commands",
  flags: {
    output: STRUCTURED_OUTPUT,
    sbom: switchFlag({
      summary: "Print the software bill of materials instead: all components with versions, licences and hashes, as " +
        "CycloneDX JSON.",
    }),
    licenses: switchFlag({
      summary:
        "Print the licence texts of everything inside instead: of tlsboot, of its packages, and of Node and its parts.",
    }),
    verify: switchFlag({
      summary:
        "Check instead that the hash of this file is in the SHA256SUMS of a release with a valid minisign signature.",
    }),
    release: directoryFlag({
      summary: "Folder with SHA256SUMS and SHA256SUMS.minisig for --verify. Without it, the folder of this file.",
    }),
    releaseKey: fileFlag({
      summary: "Minisign public key for --verify. Without it, the key of the releases, which this file contains.",
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
  exitCodes: { 3: "with --verify: this file is not part of the release" },
});
