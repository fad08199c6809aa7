-- Takes a body that is too large off the wire, and drops it. Many HTTP/2 clients lose an answer that comes while they
-- still send, so `rest.lua`, which stands behind, refuses such a request when all of it has come.

function envoy_on_request(handle)
  if handle:streamInfo():protocol() ~= "HTTP/2" then return end
  local declared = handle:headers():get("content-length") ~= nil
  local size = 0
  for chunk in handle:bodyChunks() do
    size = size + chunk:length()
    if size > MAX_DRAINED_BYTES then return end  -- its buffer overflows then, which ends the request
    if declared or size > MAX_JSON_BYTES then
      chunk:setBytes("")
      handle:streamInfo():dynamicMetadata():set("limner", "too_large", true)
    end
  end
end
