// The producer of the C# tutorial, to the letter but for where key, secret and time come from.
//   mono Ticket.exe KEY SECRET NAME AGO [conference]
// `conference`: the conference sample, which also writes expiresIn and removes blanks.
using System;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Newtonsoft.Json;

public class UserTicket {
    [JsonProperty("identity")]
    public Identity Identity { get; set; }
    [JsonProperty("applicationkey")]
    public string ApplicationKey { get; set; }
    [JsonProperty("created")]
    public string Created { get; set; }
    [JsonProperty("expiresIn", NullValueHandling = NullValueHandling.Ignore)]
    public int? ExpiresIn { get; set; }
}

public class Identity {
    [JsonProperty("type")]
    public string Type { get; set; }
    [JsonProperty("endpoint")]
    public string Endpoint { get; set; }
}

public static class Program {
    static string key, secret, variant;
    static int ago;

    public static string Signature(string userId) {
        UserTicket userTicket = new UserTicket();
        userTicket.Identity = new Identity { Type = "username", Endpoint = userId };
        userTicket.ApplicationKey = key;
        userTicket.Created = DateTime.UtcNow.AddSeconds(-ago).ToString("O", CultureInfo.InvariantCulture);
        if (variant == "conference") userTicket.ExpiresIn = 3600;
        var json = JsonConvert.SerializeObject(userTicket);
        if (variant == "conference") json = json.Replace(" ", "");
        var ticketData = Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(json));
        var sha256 = new HMACSHA256(Convert.FromBase64String(secret));
        var signature = Convert.ToBase64String(sha256.ComputeHash(Encoding.UTF8.GetBytes(json)));
        return ticketData + ":" + signature;
    }

    public static void Main(string[] args) {
        key = args[0];
        secret = args[1];
        ago = int.Parse(args[3], CultureInfo.InvariantCulture);
        variant = args.Length > 4 ? args[4] : "";
        foreach (var name in args[2].Split('\n')) Console.WriteLine(Signature(name));
    }
}
