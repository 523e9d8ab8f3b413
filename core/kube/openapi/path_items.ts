/** Groups operations by path, as OpenAPI requires. */
import type { Parameter } from "./parameters.ts";
import type { Route } from "./route.ts";

/** The descriptions of answers by HTTP status. */
export const ANSWERS: Readonly<Record<string, string>> = {
  200: "OK",
  201: "Created",
  202: "Accepted",
  401: "Unauthorized",
};

/** One path with its operations and the parameters that they have in common. */
export interface PathItem {
  readonly path: string;
  readonly routes: readonly Route[];
  readonly common: readonly Parameter[];
}

const METHODS: readonly Route["method"][] = ["get", "put", "post", "delete", "patch"];

/** The paths in order, with their operations in Go's order. */
export function createPathItems(routes: readonly Route[]): readonly PathItem[] {
  const byPath = new Map<string, Route[]>();
  for (const route of routes) byPath.set(route.path, [...byPath.get(route.path) ?? [], route]);
  return [...byPath].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, own]) => ({
    path,
    routes: own.sort((a, b) => METHODS.indexOf(a.method) - METHODS.indexOf(b.method)),
    common: findCommonParameters(own),
  }));
}

/** Returns the parameters of an operation that are not common to its path. */
export function getOwnParameters(route: Route, common: readonly Parameter[]): readonly Parameter[] {
  return route.parameters.filter((parameter) => !common.some((one) => isSame(one, parameter))).sort(byName);
}

/** Compares two parameters by their names. */
export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/** Finds the parameters that all operations have. They are the same if the name is; the last description counts. */
function findCommonParameters(routes: readonly Route[]): readonly Parameter[] {
  const last = routes.at(-1)!;
  return last.parameters.filter((parameter) =>
    routes.every((route) => route.parameters.some((one) => isSame(one, parameter)))
  ).sort(byName);
}

function isSame(a: Parameter, b: Parameter): boolean {
  return a.name === b.name && a.in === b.in;
}

/** Returns the label of kube-apiserver's documents: `1.37` for the git version `v1.37.2+tlsboot.0.1.0`. */
export function formatVersionLabel(gitVersion: string): string {
  return /^v?(\d+\.\d+)/.exec(gitVersion)?.[1] ?? gitVersion;
}
