-- Stands before what keeps bodies, on the routes of large ones: asks a worker whether the caller may send this, so that
-- no stranger fills the gateway's memory.

local ADMISSION = "/-/admission"
local TIMEOUT_MS = 5000
local ATTEMPTS = 3

-- Returns the status and the body of a refusal; nothing when the caller may send.
local function ask(handle)
  local headers = handle:headers()
  local path, token = headers:get(":path"), headers:get("authorization")
  if #path > MAX_PATH_BYTES or #(token or "") > MAX_AUTHORIZATION_BYTES then return end  -- `rest.lua` says so at once
  local question = {
    [":method"] = "POST",
    [":path"] = ADMISSION .. path,
    [":authority"] = "limner",
    ["authorization"] = token,
    ["x-request-id"] = headers:get("x-request-id"),
  }
  for _ = 1, ATTEMPTS do  -- each at the next worker
    local answer, body = handle:httpCall("web", question, "", TIMEOUT_MS, false)
    local status = answer[":status"]
    if status == "200" then return end
    if not status:find("^5") then return status, body or "" end
  end
  return "503", ""
end

local function admit(handle)
  local status, body = ask(handle)
  if not status then return end
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set("limner", "status", status)
  if body ~= "" then metadata:set("limner", "refusal", body) end
  -- Over HTTP/2 `drain.lua` and `rest.lua` do it.
  if handle:streamInfo():protocol() ~= "HTTP/2" then handle:respond({[":status"] = status}, body) end
end

function envoy_on_request(handle)
  local ok, problem = pcall(admit, handle)
  if ok then return end
  handle:logErr("a request could not be admitted: " .. tostring(problem))
  handle:respond({[":status"] = "500"}, "")
end
