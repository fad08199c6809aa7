-- Takes what is refused off the wire, and drops it: many HTTP/2 clients lose an answer that comes while they still send.
-- `rest.lua`, which stands behind, refuses the request when its end has come. KEPT: so many bytes may pass.

function envoy_on_request(handle)
  if handle:streamInfo():protocol() ~= "HTTP/2" then return end
  local metadata = handle:streamInfo():dynamicMetadata()
  local kept, size = (metadata:get("limner") or {}).status and 0 or KEPT, 0
  if not kept then return end
  for chunk in handle:bodyChunks() do
    size = size + chunk:length()
    if size > MAX_DRAINED_BYTES then return end  -- what comes overflows the buffer behind, which ends the request
    if size > kept then
      chunk:setBytes("")
      handle:streamInfo():dynamicMetadata():set("limner", "dropped", true)
    end
  end
end
