/** The licence texts of everything inside the single file. */
import { TLSBOOT_VERSION } from "../../core/version.ts";
import { packageId } from "./sbom.ts";
import { PACKAGES } from "./packages.ts";
import { NODE_LICENSE, NODE_VERSION, OWN_LICENSE, PACKAGE_LICENSES } from "./license_texts.ts";

/** Renders the licence of tlsboot, then those of the packages, then that of Node with its components. */
export function renderLicenses(): string {
  const sections = [
    section(`tlsboot ${TLSBOOT_VERSION}`, "Apache-2.0", OWN_LICENSE),
    ...PACKAGES.map((item) =>
      section(`${item.name} ${item.version}`, item.license, PACKAGE_LICENSES[packageId(item)] ?? "")
    ),
    section(`Node.js ${NODE_VERSION}`, "MIT, and the licences of its components", NODE_LICENSE),
  ];
  return sections.join("\n\n");
}

function section(title: string, license: string, text: string): string {
  return `${title}\n${"=".repeat(title.length)}\n\nLicence: ${license}\n\n${text}\n`;
}
