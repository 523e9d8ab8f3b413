/** Network namespaces for processes, connected by a bridge on which any two of them can be disconnected. */
import process from "node:process";
import { runProgram } from "../child.ts";

/** A network in which processes run. */
export interface Place {
  /** The address at which other places reach it. */
  readonly address: string;
  /** Returns the command and arguments that run a program there. */
  wrap(command: string, args: readonly string[]): readonly [string, readonly string[]];
}

/** The network of this process, by its loopback address, which other places cannot reach. */
export const HERE: Place = { address: "127.0.0.1", wrap: (command, args) => [command, args] };

/** Network namespaces and the host, on one bridge. Disposing it removes them. */
export interface Network extends AsyncDisposable {
  /** The place of this process, by its address on the bridge. */
  readonly host: Place;
  readonly places: readonly Place[];
  /** Drops every packet between two places, as a broken cable does. Connections hang and are not refused. */
  disconnect(one: Place, other: Place): Promise<void>;
  reconnect(one: Place, other: Place): Promise<void>;
  /** Drops the packets from one place to another, but not those in the other direction. */
  mute(from: Place, to: Place): Promise<void>;
  unmute(from: Place, to: Place): Promise<void>;
}

/** A link-layer address that no place has. */
const NOWHERE = "02:00:00:00:00:00";

/** The number of subnets to try. Clouds use higher link-local addresses themselves. */
const SUBNETS = 160;

/** Creates a network with `count` places. It fails without root. */
export async function createNetwork(count: number): Promise<Network> {
  // An interface name has at most 15 characters, and a process id at most 7 digits.
  const hub = `tb-${process.pid}`;
  const outer = `${hub}-h`;
  const names = Array.from({ length: count }, (_, index) => `${hub}-${index}`);
  let host: Place;
  let places: readonly Place[];
  /** Returns the options of `ip` and the interface for the packets that a place sends. */
  function locate(place: Place): readonly [readonly string[], string] {
    return place === host ? [[], outer] : [["-n", names[places.indexOf(place)]!], "bridged"];
  }
  async function setNeighbour(action: string, from: Place, to: Place, ...rest: readonly string[]): Promise<void> {
    const [options, device] = locate(from);
    await ip(...options, "neigh", action, to.address, "dev", device, ...rest);
  }
  const mute = (from: Place, to: Place): Promise<void> =>
    setNeighbour("replace", from, to, "lladdr", NOWHERE, "nud", "permanent");
  const unmute = (from: Place, to: Place): Promise<void> => setNeighbour("delete", from, to);
  async function remove(): Promise<void> {
    // The kernel removes interfaces with their namespaces, but later, and the next network reuses this name.
    await ip("link", "delete", outer);
    for (const name of [...names, hub]) await ip("netns", "delete", name);
  }
  try {
    await ip("netns", "add", hub);
    await ip("-n", hub, "link", "add", "bridge", "type", "bridge");
    await ip("-n", hub, "link", "set", "bridge", "up");
    await ip("link", "add", outer, "type", "veth", "peer", "name", "cable-host", "netns", hub);
    await ip("link", "set", outer, "up");
    const subnet = await claimSubnet(outer);
    host = { ...HERE, address: `${subnet}.1` };
    places = names.map((name, index): Place => ({
      address: `${subnet}.${2 + index}`,
      wrap: (command, args) => ["ip", ["netns", "exec", name, command, ...args]],
    }));
    await ip("address", "add", `${host.address}/24`, "dev", outer, "noprefixroute");
    await ip("-n", hub, "link", "set", "cable-host", "master", "bridge", "up");
    for (const [index, name] of names.entries()) {
      const cable = `cable-${index}`;
      await ip("netns", "add", name);
      await ip("-n", hub, "link", "add", cable, "type", "veth", "peer", "name", "bridged", "netns", name);
      await ip("-n", hub, "link", "set", cable, "master", "bridge", "up");
      await ip("-n", name, "address", "add", `${places[index]!.address}/24`, "dev", "bridged");
      await ip("-n", name, "link", "set", "bridged", "up");
      await ip("-n", name, "link", "set", "lo", "up");
    }
  } catch (error) {
    // Report the first error. Some of these may not exist yet.
    await ip("link", "delete", outer).catch(() => undefined);
    for (const name of [...names, hub]) await ip("netns", "delete", name).catch(() => undefined);
    throw error;
  }
  return {
    host,
    places,
    mute,
    unmute,
    async disconnect(one, other) {
      await mute(one, other);
      await mute(other, one);
    },
    async reconnect(one, other) {
      await unmute(one, other);
      await unmute(other, one);
    },
    [Symbol.asyncDispose]: remove,
  };
}

/** Claims a subnet by adding its route, which fails if another process has the subnet. */
async function claimSubnet(device: string): Promise<string> {
  let failure: unknown;
  for (let number = 1; number <= SUBNETS; number++) {
    const subnet = `169.254.${number}`;
    try {
      await ip("route", "add", `${subnet}.0/24`, "dev", device);
      return subnet;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

async function ip(...args: readonly string[]): Promise<void> {
  const { code, stderr } = await runProgram("ip", args).catch((error: unknown) => ({ code: 1, stderr: `${error}` }));
  if (code === 0) return;
  throw new Error(
    `cannot create a network with partitions: ip ${args.join(" ")}: ${stderr.trim()}; ` +
      "run it as root (CAP_NET_ADMIN and CAP_SYS_ADMIN), with Debian's package iproute2",
  );
}
