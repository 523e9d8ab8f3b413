/** An inventory of this machine, for a policy that approves its node. */
import { writeFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import type { TempFolder } from "../temp.ts";

/** Writes an inventory with one node, which has all addresses of this machine, as every kubelet on it reports. */
export async function writeInventory(folder: TempFolder, node: string): Promise<string> {
  const path = folder.join("inventory.yaml");
  const ips = addresses().map((address) => JSON.stringify(address)).join(", ");
  await writeFile(
    path,
    `apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes:\n  - {name: ${node}, dns: [${node}], ips: [${ips}]}\n`,
  );
  return path;
}

function addresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((list = []) => list)
    .filter(({ internal, address }) => !internal && !address.startsWith("fe80:"))
    .map(({ address }) => address);
}
