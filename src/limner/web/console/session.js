// Who is at work: the token, kept as long as this tab is open and nowhere else, and the workspace.

const TOKEN = "limner.token";
const WORKSPACE = "limner.workspace";

/** Takes a token out of the address, so that neither the address bar nor the history keeps it. */
export function takeFromAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (!given.has("token")) return;
  remember(given.get("token").trim(), given.get("workspace") ?? "");
  history.replaceState(null, "", location.pathname + location.search);
}

export function remember(token, workspace) {
  sessionStorage.setItem(TOKEN, token);
  sessionStorage.setItem(WORKSPACE, workspace);
}

export function forget() {
  sessionStorage.clear();
}

export function remembered() {
  const token = sessionStorage.getItem(TOKEN) ?? "";
  const claims = claimsOf(token);
  return { token, ...claims, workspace: sessionStorage.getItem(WORKSPACE) || (claims.workspaces[0] ?? "") };
}

/** What a token says about its user. Only the service can tell whether it is true; here it fills in fields. */
export function claimsOf(token) {
  const nothing = { user: "", workspaces: [], admin: false, expiresAt: undefined };
  try {
    const part = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const text = new TextDecoder().decode(Uint8Array.from(atob(part), (char) => char.charCodeAt(0)));
    const claims = JSON.parse(text);
    const memberships = claims.workspaces ?? {};
    return {
      user: typeof claims.sub === "string" ? claims.sub : "",
      workspaces: (Array.isArray(memberships) ? memberships : Object.keys(memberships)).filter((id) => typeof id === "string"),
      admin: claims.admin === true,
      expiresAt: typeof claims.exp === "number" ? new Date(claims.exp * 1000) : undefined,
    };
  } catch {
    return nothing;
  }
}
