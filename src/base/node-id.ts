/** Whether a node may be called so: 1 to 63 of `[a-zA-Z0-9._-]`. It is part of replicas' names, `NODE/DISK/LIFE`. */
export function isNodeId(name: string): boolean {
  return /^[a-zA-Z0-9._-]{1,63}$/.test(name);
}
