// The producer of the Java servlet tutorial: its JSON is text put together, its charset the platform's.
//   java -cp FOLDER Ticket KEY SECRET NAME AGO
import java.text.SimpleDateFormat;
import java.util.Base64;
import java.util.Date;
import java.util.TimeZone;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class Ticket {
  private static String key;
  private static String secret;

  static String createTicket(String username, long ago) throws Exception {
    SimpleDateFormat format = new SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ss'Z'");
    format.setTimeZone(TimeZone.getTimeZone("UTC"));
    String created = format.format(new Date(System.currentTimeMillis() - ago * 1000));
    String userTicket = "{\"identity\":{\"type\":\"username\",\"endpoint\":\"" + username + "\"},"
        + "\"expiresIn\":3600,\"applicationKey\":\"" + key + "\",\"created\":\"" + created + "\"}";
    String userTicketBase64 = Base64.getEncoder().encodeToString(userTicket.getBytes());
    Mac mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec(Base64.getDecoder().decode(secret), "HmacSHA256"));
    String signature = Base64.getEncoder().encodeToString(mac.doFinal(userTicket.getBytes()));
    return userTicketBase64 + ":" + signature;
  }

  public static void main(String[] args) throws Exception {
    key = args[0];
    secret = args[1];
    for (String name : args[2].split("\n", -1)) {
      System.out.println(createTicket(name, Long.parseLong(args[3])));
    }
  }
}
