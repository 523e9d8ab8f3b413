/**
 * A small `node:test` for the workers: tests are kept as functions, so that the same test can run again and again. It has
 * what the tests of the rooms use: `test`, `describe`, `before`, `after`, and `t.test`.
 */
type Body = (context: TestContext) => unknown;
type Hook = () => unknown;

/** What a test is given. */
export interface TestContext {
  readonly name: string;
  test(name: string, ...rest: readonly (Body | object)[]): Promise<void>;
}

/** One test of a file. */
export interface RegisteredTest {
  readonly name: string;
  readonly group: Group;
  readonly run: () => Promise<void>;
}

/** The tests of a file or of a `describe` share their hooks. */
export interface Group {
  readonly file: string;
  readonly before: Hook[];
  readonly after: Hook[];
  readonly parent: Group | undefined;
}

const registered: RegisteredTest[] = [];
let group: Group = { file: "", before: [], after: [], parent: undefined };
let prefix = "";

/** Loads a test file and returns its tests. */
export async function loadTests(file: string, load: () => Promise<unknown>): Promise<readonly RegisteredTest[]> {
  const first = registered.length;
  group = { file, before: [], after: [], parent: undefined };
  await load();
  return registered.slice(first);
}

/** A group with those around it, the outermost first. */
export function listGroups(innermost: Group): readonly Group[] {
  return innermost.parent === undefined ? [innermost] : [...listGroups(innermost.parent), innermost];
}

export function test(name: string, ...rest: readonly (Body | object)[]): void {
  const body = findBody(rest);
  registered.push({ name: prefix + name, group, run: async () => void await body(createContext(name)) });
}

export function describe(name: string, ...rest: readonly (Body | object)[]): void {
  const outer = { group, prefix };
  group = { file: group.file, before: [], after: [], parent: group };
  prefix = `${prefix}${name} > `;
  try {
    findBody(rest)(createContext(name));
  } finally {
    ({ group, prefix } = outer);
  }
}

export function before(hook: Hook): void {
  group.before.push(hook);
}

export function after(hook: Hook): void {
  group.after.push(hook);
}

function createContext(name: string): TestContext {
  return { name, test: async (inner, ...rest) => void await findBody(rest)(createContext(inner)) };
}

/** Options may come before the body. */
function findBody(rest: readonly (Body | object)[]): Body {
  const body = rest.find((value) => typeof value === "function");
  if (body === undefined) throw new Error("a test without a body");
  return body as Body;
}
