/** The files of a join pack. */
import { Buffer } from "node:buffer";
import { KUBELET_PATHS } from "../../../core/bootstrap/join_command.ts";
import { formatYaml } from "../../../core/lib/yaml/format.ts";
import type { TarFile } from "../../../core/lib/tar.ts";

/** The join file in a pack, which is also a bootstrap kubeconfig for kubelet. */
export const PACK_JOIN_FILE = "bootstrap-kubelet.conf";
/** The unit that keeps the certificate of the machine fresh. */
export const PACK_UNIT = "tlsboot-bootstrap.service";

const SECRET = 0o600;
const PUBLIC = 0o644;
const UNIT_FOLDER = "/etc/systemd/system";

/** The contents from which a pack is made. */
export interface PackContents {
  readonly node: string;
  readonly joinFile: string;
  readonly caPem: string;
  /** The pin of each CA, `sha256:` and hexadecimal digits. */
  readonly pins: readonly string[];
  readonly unit: string;
}

/** Creates the files of a pack. Three of them contain the token. */
export function createPackFiles(contents: PackContents): readonly TarFile[] {
  return [
    { path: "README", mode: PUBLIC, text: formatReadme(contents) },
    { path: PACK_JOIN_FILE, mode: SECRET, text: contents.joinFile },
    { path: "ca.crt", mode: PUBLIC, text: contents.caPem },
    { path: PACK_UNIT, mode: PUBLIC, text: contents.unit },
    { path: "cloud-init.yaml", mode: SECRET, text: formatCloudInit(contents) },
    { path: "ignition.json", mode: SECRET, text: formatIgnition(contents) },
  ];
}

function formatReadme({ node, pins }: PackContents): string {
  return `Join pack of the machine ${node}. It contains a token: copy it to the machine alone, and delete it here.

On the machine, with the pack as one file or as a folder:

  tlsboot bootstrap --join PACK

or by hand, for tlsboot or for a stock kubelet:

  ${PACK_JOIN_FILE}         to ${KUBELET_PATHS.bootstrapKubeconfig}
  ${PACK_UNIT}      to ${UNIT_FOLDER}, then systemctl enable --now ${PACK_UNIT},
                                which waits until the machine has its certificate

or at the first start of a new machine whose image has /usr/local/bin/tlsboot: cloud-init.yaml is user data for
cloud-init, ignition.json a configuration for Ignition.

${pins.map((pin) => `CA (ca.crt): ${pin}\n`).join("")}`;
}

/** Formats user data (https://cloudinit.readthedocs.io, modules write_files and runcmd). */
function formatCloudInit({ joinFile, unit }: PackContents): string {
  return `#cloud-config\n${
    formatYaml({
      write_files: [
        { content: joinFile, owner: "root:root", path: KUBELET_PATHS.bootstrapKubeconfig, permissions: "0600" },
        { content: unit, owner: "root:root", path: `${UNIT_FOLDER}/${PACK_UNIT}`, permissions: "0644" },
      ],
      // A start waits for the certificate; cloud-init must not.
      runcmd: [
        ["systemctl", "daemon-reload"],
        ["systemctl", "enable", PACK_UNIT],
        ["systemctl", "start", "--no-block", PACK_UNIT],
      ],
    })
  }`;
}

/** Formats a configuration of version 3.4.0 (https://coreos.github.io/ignition/configuration-v3_4/). */
function formatIgnition({ joinFile, unit }: PackContents): string {
  const source = `data:;base64,${Buffer.from(joinFile).toString("base64")}`;
  const config = {
    ignition: { version: "3.4.0" },
    storage: { files: [{ path: KUBELET_PATHS.bootstrapKubeconfig, mode: SECRET, contents: { source } }] },
    systemd: { units: [{ name: PACK_UNIT, enabled: true, contents: unit }] },
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}
