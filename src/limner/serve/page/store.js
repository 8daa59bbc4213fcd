// Pictures that were drawn, kept in this browser: the newest 60.

const MOST = 60;

function database() {
  return new Promise((resolve, reject) => {
    const asked = indexedDB.open("limner", 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore("pictures", { autoIncrement: true });
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}

async function within(mode, work) {
  try {
    const store = (await database()).transaction("pictures", mode).objectStore("pictures");
    const asked = work(store);
    return await new Promise((resolve, reject) => {
      asked.onsuccess = () => resolve(asked.result);
      asked.onerror = () => reject(asked.error);
    });
  } catch { return undefined; } // a browser without storage keeps no history
}

export const remember = (entry) => within("readwrite", (store) => store.add(entry));
export const forget = () => within("readwrite", (store) => store.clear());

/** The newest first. */
export async function remembered() {
  const all = (await within("readonly", (store) => store.getAll())) ?? [];
  const keys = (await within("readonly", (store) => store.getAllKeys())) ?? [];
  for (const key of keys.slice(0, Math.max(0, keys.length - MOST))) await within("readwrite", (store) => store.delete(key));
  return all.slice(-MOST).reverse();
}
