// What console.log shows of an object with a native side: its name, and what a reader wants to know.

/** An object that prints as `Name { ... }`. */
export function inspectAs(name: string, shown: object): object {
  const named: { prototype: object } | undefined = { [name]: class {} }[name];
  const object = Object.create(named?.prototype ?? null) as object;
  return Object.assign(object, shown);
}
