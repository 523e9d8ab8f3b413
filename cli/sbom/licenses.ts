/** The licence texts of everything inside, as one text for people. */
import { TLSBOOT_VERSION } from "../../core/version.ts";
import { packageId } from "./bundled_package.ts";
import { PACKAGES } from "./packages.ts";
import { NODE_LICENSE, NODE_VERSION, OWN_LICENSE, PACKAGE_LICENSES } from "./license_texts.ts";

/** tlsboot's own first, then the packages, then Node with what it is built from. */
export function renderLicenses(): string {
  const sections = [
    section(`tlsboot ${TLSBOOT_VERSION}`, "Apache-2.0", OWN_LICENSE),
    ...PACKAGES.map((item) =>
      section(`${item.name} ${item.version}`, item.license, PACKAGE_LICENSES[packageId(item)] ?? "")
    ),
    section(`Node.js ${NODE_VERSION}`, "MIT and those of what it is built from", NODE_LICENSE),
  ];
  return sections.join("\n\n");
}

function section(title: string, license: string, text: string): string {
  return `${title}\n${"=".repeat(title.length)}\n\nLicence: ${license}\n\n${text}\n`;
}
