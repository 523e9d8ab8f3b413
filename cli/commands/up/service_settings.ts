/** The texts that `tlsboot up` and its service need and show: the settings file, the firewall, and the next commands. */
import type { ProofKind } from "../../../core/attestation/proof.ts";
import { PROOF_NAMES } from "../../attestation.ts";

/**
 * Sets keys of a settings file to texts, and leaves all else in it as it is, also comments. A key whose texts are `present`
 * already keeps its line; an example in a comment is replaced.
 */
export function setSettings(
  text: string,
  wanted: Readonly<Record<string, readonly string[]>>,
  present: Readonly<Record<string, readonly string[]>>,
): string {
  return Object.entries(wanted).reduce((edited, [key, texts]) => {
    if (JSON.stringify(present[key]) === JSON.stringify(texts)) return edited;
    const [first = ""] = texts;
    const isPlain = texts.length === 1 && /^(?:0|[1-9]\d*|true|false)$/.test(first);
    const line = `${key}: ${isPlain ? first : JSON.stringify(texts.length === 1 ? first : texts)}\n`;
    // A list is in the lines below its key.
    const entries = [`^${key}:.*\n(?:(?:[ \t]|- ).*\n)*`, `^# ${key}:.*\n`].map((entry) => new RegExp(entry, "m"));
    const entry = entries.find((one) => one.test(edited));
    return entry === undefined ? `${edited}${line}` : edited.replace(entry, () => line);
  }, `${text.trimEnd()}\n`);
}

/** The firewalls whose services are looked for. */
export const FIREWALLS: readonly string[] = ["firewalld", "ufw", "nftables"];

/** Formats the command that opens a port in the active firewalls; without any, the commands of the usual ones. */
export function formatFirewall(port: string, active: readonly string[]): string {
  const commands: Readonly<Record<string, string>> = {
    firewalld: `sudo firewall-cmd --permanent --add-port=${port}/tcp && sudo firewall-cmd --reload`,
    ufw: `sudo ufw allow ${port}/tcp`,
    nftables: `sudo nft add rule inet filter input tcp dport ${port} accept   # and in /etc/nftables.conf`,
  };
  const isKnown = active.length > 0;
  const lines = (isKnown ? active : ["firewalld", "ufw"]).map((name) => `  ${commands[name]}\n`);
  return `${isKnown ? "Open its port in the firewall" : "If this machine has a firewall, open its port"}:\n${
    lines.join("")
  }`;
}

/** Formats the command with which a machine on the host of the server requests its certificate by the shared token. */
export function formatJoining(tlsboot: string, name: string, bootstrapKubeconfig: string): string {
  return `  # request the certificate of a machine called ${name}
  ${tlsboot} bootstrap --bootstrap-kubeconfig ${bootstrapKubeconfig} ${formatMachine(name)}
`;
}

/** Formats the flags that name the files of a machine and the machine itself. */
export function formatMachine(name: string): string {
  return `--kubeconfig ${name}/kubeconfig --cert-dir ${name}/pki --hostname-override ${name}`;
}

/** Formats the commands with which machines prove which ones they are, one for each kind of proof in the inventory. */
export function formatProving(
  kinds: readonly ProofKind[],
  { inventory, url, pin }: { readonly inventory: string; readonly url: string; readonly pin: string },
): string {
  return kinds.map((kind) =>
    `  # on each machine that ${inventory} lists with ${
      PROOF_NAMES[kind]
    }, prove by it which one it is, and get its certificate
  sudo tlsboot bootstrap --attest ${kind} --server ${url} --ca-cert-hash ${pin} --rotate-certificates
`
  ).join("\n");
}

/** Formats how to open a server that only this machine can reach. */
export function formatLocal(bindAddress: string): string {
  const open = bindAddress === "0.0.0.0" || bindAddress === "::"
    ? "this host has no other address: name one with --advertise-address"
    : "to open it to the network, run: sudo tlsboot up --install-service --bind-address 0.0.0.0";
  return `Only this machine can reach it; ${open}\n`;
}

/** Formats the command that lets the first machine in by a token: on the host of the server, or on another one. */
export function formatFirstMachine(isLocal: boolean, sharedToken: boolean): string {
  const create = "sudo tlsboot token create";
  const dataDir = "--data-dir /var/lib/tlsboot";
  if (!isLocal) {
    const name = sharedToken ? "" : "--node NAME ";
    return `  # let a machine in: run there what this prints\n  ${create} ${name}-o command ${dataDir}\n`;
  }
  if (sharedToken) return formatJoining("sudo tlsboot", "n1", "/var/lib/tlsboot/bootstrap.kubeconfig");
  return `  # make a token that only a machine called n1 can use\n  ${create} --node n1 ${dataDir}\n`;
}
