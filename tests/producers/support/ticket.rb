# The Ruby producer of the Rails tutorial, to the letter but for where key, secret and time come from.
#   ruby ticket.rb KEY SECRET NAME AGO [untrimmed]
# AGO: seconds by which the ticket is older than now. `untrimmed`: without the tutorial's `.strip` of the digest.
require "base64"
require "json"
require "openssl"
require "time"

KEY, SECRET, NAME, AGO, VARIANT = ARGV

def get_auth_ticket(username)
  user_ticket = {
    "identity" => {"type" => "username", "endpoint" => username},
    "expiresIn" => 3600, #seconds
    "applicationKey" => KEY,
    "created" => (Time.now - AGO.to_i).utc.iso8601
  }

  user_ticket_json = user_ticket.to_json.gsub(/\s+/, "")
  user_ticket_base64 = Base64.encode64(user_ticket_json).strip
  digest = OpenSSL::HMAC.digest(OpenSSL::Digest.new('sha256'), Base64.decode64(SECRET), user_ticket_json)
  digest = digest.strip unless VARIANT == "untrimmed"
  signature = Base64.encode64(digest).strip
  return (user_ticket_base64 + ':' + signature).gsub(/\s+/, "")
end

# One ticket for each line of NAME, so that a test can have many.
NAME.split("\n", -1).each { |name| puts get_auth_ticket(name) }
